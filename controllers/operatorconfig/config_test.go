package operatorconfig

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const good = `
apiVersion: config.distribution.pytorch.org/v1alpha1
kind: OperatorConfiguration
aws: {accountID: "123456789012", region: us-east-1}
storage:
  bucket: pytorch
  publicBaseURLs: [https://download.pytorch.org]
mirrors:
- name: r2
  bucket: pytorch
  endpoint: https://example.r2.cloudflarestorage.com
  publicBaseURLs: [https://download-r2.pytorch.org]
oidcProviders:
- issuer: https://token.actions.githubusercontent.com
`

func TestParseFillsDefaults(t *testing.T) {
	c, err := Parse([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.OIDCProviders[0].ARN, "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"; got != want {
		t.Errorf("arn = %q, want %q", got, want)
	}
	if c.Limits.Poll() != 5*time.Minute || c.Limits.DependencyRefresh() != time.Hour || c.Limits.DependencyPageBytes != 100<<20 || c.Roles.MaxSessionSeconds != 3600 || c.Mirrors[0].Region != "us-east-1" || c.Mirrors[0].Bucket != "pytorch" {
		t.Errorf("defaults are not filled in: %+v", c)
	}
}

func TestClaimsReachTheDocuments(t *testing.T) {
	c, err := Parse([]byte(good + "- issuer: https://ci.example.com\n  claims: [tenant_id, ci.example.com/project-id]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Access().Providers[1].Claims; !slices.Equal(got, []string{"tenant_id", "ci.example.com/project-id"}) {
		t.Errorf("claims %q", got)
	}
}

// Nothing that takes more rights is on unless somebody says so.
func TestAccessKeysAreOffUnlessEnabled(t *testing.T) {
	for text, want := range map[string]bool{good: false, good + "accessKeys: {mode: Enabled}\n": true, good + "accessKeys: {endpoint: 'https://iam.example.com'}\n": false} {
		c, err := Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Access().AccessKeysEnabled; got != want {
			t.Errorf("access keys are enabled: %t, want %t", got, want)
		}
	}
}

func TestParseNamesTheField(t *testing.T) {
	for _, c := range []struct{ why, from, to, want string }{
		{"unknown field", "storage:\n", "storage:\n  buckt: x\n", `unknown field "storage.buckt"`},
		{"unknown field in a list", "- name: r2", "- label: r2\n  name: r2", `unknown field "mirrors[0].label"`},
		{"wrong case", "aws: {", "Aws: {", `unknown field "Aws"`},
		{"field twice", "kind: OperatorConfiguration", "kind: OperatorConfiguration\nkind: OperatorConfiguration", `key "kind" already set in map`},
		{"other version", "v1alpha1", "v9", "apiVersion: must be"},
		{"account", `"123456789012"`, `"12345"`, "aws.accountID: must be the 12 digits"},
		{"account as a number", `"123456789012"`, `123456789012`, "accountID"},
		{"bucket", "  bucket: pytorch\n  public", "  bucket: Py_Torch\n  public", "storage.bucket: must be a bucket's name"},
		{"no base URL", "publicBaseURLs: [https://download.pytorch.org]", "publicBaseURLs: []", "storage.publicBaseURLs: is empty"},
		{"bad base URL", "[https://download.pytorch.org]", "['ftp://x']", "storage.publicBaseURLs[0]: must be a plain http"},
		{"credentials in a URL", "https://example.r2", "https://user:secret@example.r2", "mirrors[0].endpoint: must be a plain http"},
		{"mirror called primary", "name: r2", "name: primary", `mirrors[0].name: "primary" is taken`},
		{"mirror is primary", "  endpoint: https://example.r2.cloudflarestorage.com\n", "", "mirrors[0]: is the primary store itself"},
		{"session", "aws:", "roles: {maxSessionSeconds: 60}\naws:", "roles.maxSessionSeconds: must be between"},
		{"quota", "aws:", "roles: {trustPolicyQuota: 9000}\naws:", "roles.trustPolicyQuota: must be between"},
		{"path", "aws:", "roles: {path: lanes}\naws:", "roles.path: must begin and end with a slash"},
		{"claim", "actions.githubusercontent.com\n", "actions.githubusercontent.com\n  claims: ['a*']\n", "oidcProviders[0].claims[0]: must be the name of a claim"},
		{"subject as a claim", "actions.githubusercontent.com\n", "actions.githubusercontent.com\n  claims: [a, sub]\n", "oidcProviders[0].claims[1]: sub is always evaluated"},
		{"claim twice", "actions.githubusercontent.com\n", "actions.githubusercontent.com\n  claims: [a, b, a]\n", "oidcProviders[0].claims[2]: a is listed twice"},
		{"access keys", "aws:", "accessKeys: {mode: Sometimes}\naws:", "accessKeys.mode: must be Enabled or Disabled"},
		{"credentials in IAM's endpoint", "aws:", "accessKeys: {endpoint: 'https://user:secret@iam'}\naws:", "accessKeys.endpoint: must be a plain http"},
		{"retention preview", "aws:", "limits: {retentionPreviewHours: 721}\naws:", "limits.retentionPreviewHours: must be between"},
		{"limit", "aws:", "limits: {pollSeconds: -1}\naws:", "limits.pollSeconds: must be between"},
		{"refresh", "aws:", "limits: {dependencyRefreshMinutes: 1}\naws:", "limits.dependencyRefreshMinutes: must be between"},
		{"dependency page", "aws:", "limits: {dependencyPageBytes: 200000000}\naws:", "limits.dependencyPageBytes: must be between"},
		{"dependency index", "aws:", "dependencyIndexURLs: ['https://a:b@x/']\naws:", "dependencyIndexURLs[0]: must be a plain http"},
		{"not YAML", "aws:", "\t:", "yaml"},
	} {
		text := strings.Replace(good, c.from, c.to, 1)
		if text == good {
			t.Fatalf("%s: nothing was replaced", c.why)
		}
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.why, err, c.want)
		}
	}
}

func TestLoadSaysWhichFile(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "operator.yaml")
	if _, err := Load(missing); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("missing file: %v", err)
	}
	large := filepath.Join(t.TempDir(), "large.yaml")
	if err := os.WriteFile(large, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(large); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("large file: %v", err)
	}
}

func TestParseKeepsSecretsOutOfErrors(t *testing.T) {
	_, err := Parse([]byte(strings.Replace(good, "https://example.r2", "https://user:hunter2@example.r2", 1)))
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error %v, want one without the password", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Fuzz(func(_ *testing.T, data []byte) { _, _ = Parse(data) })
}
