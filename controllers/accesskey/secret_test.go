package accesskey

import (
	"fmt"
	"strings"
	"testing"
)

func TestTheSecretServesFilesAndEnvironment(t *testing.T) {
	h := Handout{KeyID: "AKIAIOSFODNN7EXAMPLE", SecretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", Region: "us-east-1", RoleARN: "arn:aws:iam::123456789012:role/lanes/lane-spyre"}
	data := h.Data()
	for key, want := range map[string]string{
		"AWS_ACCESS_KEY_ID":      h.KeyID,
		"AWS_SECRET_ACCESS_KEY":  h.SecretKey,
		"AWS_REGION":             "us-east-1",
		"PLATFORM_LANE_ROLE_ARN": h.RoleARN,
		"config": `[default]
role_arn = arn:aws:iam::123456789012:role/lanes/lane-spyre
source_profile = lane-key
role_session_name = access-key
region = us-east-1

[profile lane-key]
region = us-east-1
`,
		"credentials": `[lane-key]
aws_access_key_id = AKIAIOSFODNN7EXAMPLE
aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
`,
	} {
		if string(data[key]) != want {
			t.Errorf("%s is %q, want %q", key, data[key], want)
		}
	}
	if len(data) != 6 {
		t.Errorf("the Secret holds %d keys", len(data))
	}
	id, secret, ok := ReadKey(data)
	if !ok || id != h.KeyID || secret != h.SecretKey {
		t.Errorf("read back: %s %t", id, ok)
	}
}

func TestASpoiltKeyIsNone(t *testing.T) {
	const id, secret = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	for name, data := range map[string]map[string][]byte{
		"empty":           {},
		"no secret":       {DataKeyID: []byte(id)},
		"no id":           {DataSecretKey: []byte(secret)},
		"a line more":     {DataKeyID: []byte(id + "\n"), DataSecretKey: []byte(secret)},
		"a profile of it": {DataKeyID: []byte(id), DataSecretKey: []byte(secret + "\n[default]")},
		"lower case":      {DataKeyID: []byte(strings.ToLower(id)), DataSecretKey: []byte(secret)},
		"too long":        {DataKeyID: []byte(id), DataSecretKey: []byte(strings.Repeat("a", 257))},
	} {
		if _, _, ok := ReadKey(data); ok {
			t.Errorf("%s: taken for a key", name)
		}
	}
}

func TestSecretsStayOutOfLogs(t *testing.T) {
	const secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	for _, v := range []any{
		Handout{KeyID: "AKIA", SecretKey: secret}, Credential{Key: Key{ID: "AKIA"}, Secret: secret}, &Credential{Secret: secret},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if said := fmt.Sprintf(verb, v); strings.Contains(said, secret) {
				t.Errorf("%s of %T says %s", verb, v, said)
			}
		}
	}
}
