package accesskey

import (
	"fmt"
	"regexp"
	"strings"
)

// SecretSuffix stands behind the lane's name in the name of its Secret.
const SecretSuffix = "-access-key"

// The keys of the Secret's data. The first four can be taken into a job's
// environment; whoever mounts the Secret as files only sets AWS_CONFIG_FILE and
// AWS_SHARED_CREDENTIALS_FILE to the last two, and every AWS SDK assumes the
// lane's role by itself. Not both: an SDK that finds the key in its environment
// uses it as it is, and the key alone opens nothing.
const (
	DataKeyID       = "AWS_ACCESS_KEY_ID"
	DataSecretKey   = "AWS_SECRET_ACCESS_KEY"
	DataRegion      = "AWS_REGION"
	DataRoleARN     = "PLATFORM_LANE_ROLE_ARN"
	DataConfig      = "config"
	DataCredentials = "credentials"
)

// sourceProfile is the profile of the key; the default one assumes the role.
const sourceProfile = "lane-key"

// sessionName is what CloudTrail shows for sessions of the key.
const sessionName = "access-key"

var (
	keyIDRE     = regexp.MustCompile(`^[A-Z0-9]{16,128}$`)
	secretKeyRE = regexp.MustCompile(`^[A-Za-z0-9/+=]{16,256}$`)
)

// Handout is what a Secret hands out.
type Handout struct {
	// KeyID and SecretKey are the access key.
	KeyID, SecretKey string
	// Region of the bucket; RoleARN is what the key may assume.
	Region, RoleARN string
}

// String keeps the secret out of logs.
func (h Handout) String() string { return "access key " + h.KeyID }

// GoString keeps the secret out of logs.
func (h Handout) GoString() string { return h.String() }

// Data is the content of the Secret.
func (h Handout) Data() map[string][]byte {
	config := []string{
		"[default]",
		"role_arn = " + h.RoleARN,
		"source_profile = " + sourceProfile,
		"role_session_name = " + sessionName,
		"region = " + h.Region,
		"",
		"[profile " + sourceProfile + "]",
		"region = " + h.Region,
		"",
	}
	credentials := fmt.Sprintf("[%s]\naws_access_key_id = %s\naws_secret_access_key = %s\n", sourceProfile, h.KeyID, h.SecretKey)
	return map[string][]byte{
		DataKeyID: []byte(h.KeyID), DataSecretKey: []byte(h.SecretKey),
		DataRegion: []byte(h.Region), DataRoleARN: []byte(h.RoleARN),
		DataConfig: []byte(strings.Join(config, "\n")), DataCredentials: []byte(credentials),
	}
}

// ReadKey reads the key out of a Secret's data. It is false for one that is not
// there or was spoilt: what is no key of IAM's must not get into a file of it.
func ReadKey(data map[string][]byte) (id, secretKey string, ok bool) {
	id, secretKey = string(data[DataKeyID]), string(data[DataSecretKey])
	if !keyIDRE.MatchString(id) || !secretKeyRE.MatchString(secretKey) {
		return "", "", false
	}
	return id, secretKey, true
}
