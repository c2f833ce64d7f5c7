package account

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/access"
	"github.com/pytorch/platform-lane-operator/controllers/operatorconfig"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	sampleConfig   = "../../config/manager/operator.yaml"
	sampleTemplate = "../../config/aws/account.yaml"
)

// sample is the configuration that the repository ships; edit may change it.
func sample(t *testing.T, edit func(*operatorconfig.Config)) *operatorconfig.Config {
	t.Helper()
	cfg, err := operatorconfig.Load(sampleConfig)
	if err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(cfg)
	}
	return cfg
}

// everything is a configuration with everything that a document can hold.
func everything(t *testing.T) *operatorconfig.Config {
	return sample(t, func(c *operatorconfig.Config) {
		c.Mirrors = append(c.Mirrors,
			operatorconfig.Mirror{Name: "eu-west", Store: operatorconfig.Store{Bucket: "pytorch-eu", Region: "eu-west-1"}},
			operatorconfig.Mirror{Name: "second", Store: operatorconfig.Store{Bucket: "pytorch-second", Region: "us-east-1"}})
		c.ReservedPlatforms = []string{"acme"}
		c.AccessKeys.Mode = operatorconfig.AccessKeysEnabled
	})
}

func TestTheShippedTemplateIsUpToDate(t *testing.T) {
	got, err := Template(sample(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(sampleTemplate, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(sampleTemplate)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) > 51200 {
		t.Errorf("the template has %d bytes; above 51200 the command at its top needs a bucket", len(got))
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what %s makes; run make manifests", sampleTemplate, sampleConfig)
	}
}

func TestSameBytesEveryTime(t *testing.T) {
	cfg := everything(t)
	first, err := Template(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if again, err := Template(cfg); err != nil || !bytes.Equal(first, again) {
			t.Fatalf("another template for the same configuration (%v)", err)
		}
	}
}

// The template must hold exactly the documents that are printed as JSON: what the
// tests prove of these then holds for what CloudFormation applies.
func TestTheTemplateHoldsTheDocuments(t *testing.T) {
	for name, cfg := range map[string]*operatorconfig.Config{"sample": sample(t, nil), "everything": everything(t)} {
		t.Run(name, func(t *testing.T) {
			resources := parse(t, cfg)
			inTemplate := map[string]any{
				PermissionsBoundary: at(t, resources, "PermissionsBoundary", "Properties", "PolicyDocument"),
				IAMController:       at(t, resources, "IAMControllerPolicy", "Properties", "PolicyDocument"),
				Operator:            at(t, resources, "OperatorPolicy", "Properties", "PolicyDocument"),
				OperatorFence:       at(t, resources, "OperatorFencePolicy", "Properties", "PolicyDocument"),
				BucketPolicy:        at(t, resources, "BucketPolicy", "Properties", "PolicyDocument"),
			}
			if name == "everything" {
				inTemplate[OperatorAccessKeys] = at(t, resources, "OperatorAccessKeysPolicy", "Properties", "PolicyDocument")
				for _, n := range []string{"2", "3", "4"} {
					inTemplate[OperatorFence+"-"+n] = at(t, resources, "OperatorFence"+n+"Policy", "Properties", "PolicyDocument")
				}
				inTemplate[BucketPolicy+"-second"] = at(t, resources, "BucketPolicyOfSecond", "Properties", "PolicyDocument")
				if got := at(t, resources, "BucketPolicyOfSecond", "Properties", "Bucket"); got != "pytorch-second" {
					t.Errorf("the mirror's policy goes to the bucket %v", got)
				}
				if _, ok := resources["BucketPolicyOfEuWest"]; ok {
					t.Error("a stack cannot set the policy of a bucket in another region")
				}
			}
			documents, err := Documents(cfg)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range documents {
				if d.Name == BucketPolicy+"-eu-west" {
					continue
				}
				want, got := asJSON(t, d.JSON), asJSON(t, inTemplate[d.Name])
				if want != got {
					t.Errorf("%s:\n%s\nis in the template\n%s", d.Name, want, got)
				}
				delete(inTemplate, d.Name)
			}
			if len(inTemplate) > 0 {
				t.Errorf("there are no documents named %v", slices.Collect(maps.Keys(inTemplate)))
			}
		})
	}
}

// The template must be one that CloudFormation can read: every reference has
// something to refer to.
func TestTheTemplateRefersToWhatIsThere(t *testing.T) {
	text, err := Template(everything(t))
	if err != nil {
		t.Fatal(err)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Parameters map[string]yaml.Node `yaml:"Parameters"`
		Conditions map[string]yaml.Node `yaml:"Conditions"`
		Resources  map[string]yaml.Node `yaml:"Resources"`
	}
	if err := root.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	known := func(name string) bool {
		_, parameter := doc.Parameters[name]
		_, resource := doc.Resources[name]
		return parameter || resource || strings.HasPrefix(name, "AWS::")
	}
	variables := regexp.MustCompile(`\$\{([^}]+)\}`)
	refs := 0
	var walk func(n *yaml.Node, key string)
	walk = func(n *yaml.Node, key string) {
		switch {
		case n.Tag == "!Ref" && !known(n.Value), n.Tag == "!GetAtt" && !known(strings.TrimSuffix(n.Value, ".Arn")):
			t.Errorf("line %d refers to %s, which is not there", n.Line, n.Value)
		case n.Tag == "!Sub":
			for _, v := range variables.FindAllStringSubmatch(n.Value, -1) {
				if !known(v[1]) {
					t.Errorf("line %d substitutes %s, which is not there", n.Line, v[1])
				}
			}
			if !json.Valid([]byte(variables.ReplaceAllString(n.Value, "x"))) {
				t.Errorf("line %d is not JSON: %s", n.Line, n.Value)
			}
		case key == "Condition" && n.Kind == yaml.ScalarNode:
			if _, ok := doc.Conditions[n.Value]; !ok {
				t.Errorf("line %d has the condition %s, which is not there", n.Line, n.Value)
			}
		}
		if n.Tag == "!Ref" || n.Tag == "!GetAtt" || n.Tag == "!Sub" {
			refs++
		}
		for i, child := range n.Content {
			name := ""
			if n.Kind == yaml.MappingNode && i%2 == 1 {
				name = n.Content[i-1].Value
			}
			walk(child, name)
		}
	}
	walk(&root, "")
	if refs < 10 {
		t.Errorf("only %d references were looked at", refs)
	}
	for name := range doc.Resources {
		if !regexp.MustCompile(`^[A-Za-z0-9]+$`).MatchString(name) {
			t.Errorf("%s cannot be the name of a resource", name)
		}
	}
	for i, line := range strings.Split(string(text), "\n") {
		if strings.TrimRight(line, " ") != line || strings.Contains(line, "\t") {
			t.Errorf("line %d ends in a space or holds a tab: %q", i+1, line)
		}
	}
}

// Each statement must say why it is there, below a Sid that IAM accepts.
func TestEveryStatementIsExplained(t *testing.T) {
	a, err := newAccount(everything(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range a.policies() {
		sids := map[string]bool{}
		for _, s := range p.Statement {
			if len(s.why) < 20 || !strings.HasSuffix(s.why, ".") {
				t.Errorf("%s %s is explained by %q", p.name, s.Sid, s.why)
			}
			if !regexp.MustCompile(`^[A-Za-z0-9]+$`).MatchString(s.Sid) || sids[s.Sid] {
				t.Errorf("%s: the Sid %q is not letters and digits, or is there twice", p.name, s.Sid)
			}
			sids[s.Sid] = true
			if bucket := strings.HasPrefix(p.name, BucketPolicy); bucket != (s.Principal != "") || bucket != strings.HasPrefix(s.Sid, "PlatformLanes") {
				t.Errorf("%s %s: a statement of a bucket policy has a principal and a Sid that tells whose it is, and no other has", p.name, s.Sid)
			}
			if len(s.Action) > 0 == (len(s.NotAction) > 0) || len(s.Resource) > 0 == (len(s.NotResource) > 0) {
				t.Errorf("%s %s needs one kind of action and one kind of resource", p.name, s.Sid)
			}
		}
	}
}

// What may be wide is written here; everything else is a mistake.
func TestNoAllowIsWiderThanItSays(t *testing.T) {
	a, err := newAccount(everything(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range a.policies() {
		for _, s := range p.Statement {
			if s.Effect != allow {
				continue
			}
			if len(s.NotAction)+len(s.NotResource) > 0 {
				t.Errorf("%s %s allows by exclusion", p.name, s.Sid)
			}
			for _, action := range s.Action {
				if strings.ContainsAny(action, "*?") {
					t.Errorf("%s %s allows the actions %s", p.name, s.Sid, action)
				}
			}
			for _, resource := range s.Resource {
				before, _, wild := strings.Cut(resource, "*")
				if wild && !slices.ContainsFunc([]string{"/whl/", "/libtorch/", "/platforms/", "/_lanes/", "/platform-lane-"}, func(floor string) bool {
					return strings.Contains(before, floor)
				}) {
					t.Errorf("%s %s allows %s", p.name, s.Sid, resource)
				}
			}
			for operator := range s.Condition {
				if strings.HasSuffix(operator, "IfExists") || strings.Contains(operator, "Not") || strings.HasPrefix(operator, "ForAllValues") {
					t.Errorf("%s %s allows if %s, which is true without the key", p.name, s.Sid, operator)
				}
			}
		}
	}
}

// Whatever a lane's own policy lets it write, its boundary and the bucket policy
// must let it write, too. If a kind of file is added to the one it shows here.
func TestTheFencesLetLanesPublish(t *testing.T) {
	cfg := sample(t, nil)
	a, err := newAccount(cfg)
	if err != nil {
		t.Fatal(err)
	}
	lane := &v1alpha1.PlatformLane{}
	lane.Name, lane.Namespace = "spyre", "vendor-ibm"
	lane.Spec.Platform = "spyre"
	lane.Spec.Packages = []string{"torch", "torch-tensorrt", "libtorch"}
	for _, name := range []v1alpha1.ChannelName{v1alpha1.ChannelNightly, v1alpha1.ChannelTest, v1alpha1.ChannelRelease} {
		lane.Spec.Channels = append(lane.Spec.Channels, v1alpha1.Channel{Name: name})
	}
	patterns := access.WritePatterns(lane, cfg.Access())
	if len(patterns) < 9 {
		t.Fatalf("the lane writes %v", patterns)
	}
	for _, pattern := range patterns {
		key := strings.ReplaceAll(pattern, "*", "2.0")
		if !slices.ContainsFunc(a.lanesFiles(), func(fence string) bool {
			matched, err := path.Match(strings.ReplaceAll(fence, laneTag, "spyre"), key)
			return err == nil && matched
		}) {
			t.Errorf("no fence lets %s through", key)
		}
	}
	role, err := access.Render(lane, cfg.Access(), nil)
	if role.ARN != strings.ReplaceAll(a.lanesOwn("role", laneTag), laneTag, "spyre") {
		t.Errorf("the lane's role is %s (%v)", role.ARN, err)
	}
	if role.BoundaryARN != a.boundary {
		t.Errorf("the role's boundary is %s", role.BoundaryARN)
	}
	if !slices.Contains(role.Tags, access.Tag{Key: access.TagLane, Value: "spyre"}) {
		t.Errorf("the role's tags are %v", role.Tags)
	}
}

func TestRefusals(t *testing.T) {
	long := make([]string, 200)
	for i := range long {
		long[i] = "reserved" + strings.Repeat("x", i/26) + string(rune('a'+i%26))
	}
	for name, c := range map[string]struct {
		edit func(*operatorconfig.Config)
		want string
	}{
		"no boundary":             {func(c *operatorconfig.Config) { c.Roles.PermissionsBoundaryARN = "" }, "roles.permissionsBoundaryARN"},
		"another account's":       {func(c *operatorconfig.Config) { c.Roles.PermissionsBoundaryARN = "arn:aws:iam::999999999999:policy/x" }, "roles.permissionsBoundaryARN"},
		"a role as the boundary":  {func(c *operatorconfig.Config) { c.Roles.PermissionsBoundaryARN = "arn:aws:iam::123456789012:role/x" }, "roles.permissionsBoundaryARN"},
		"a boundary without name": {func(c *operatorconfig.Config) { c.Roles.PermissionsBoundaryARN = "arn:aws:iam::123456789012:policy/" }, "roles.permissionsBoundaryARN"},
		"a wild distribution":     {func(c *operatorconfig.Config) { c.CDN.CloudFrontDistributionID = "*" }, "cdn.cloudFrontDistributionID"},
		"a queue without account": {func(c *operatorconfig.Config) { c.Events.QueueURL = "https://sqs.us-east-1.amazonaws.com/lanes" }, "events.queueURL"},
		"a wild queue": {func(c *operatorconfig.Config) {
			c.Events.QueueURL = "https://sqs.us-east-1.amazonaws.com/123456789012/*"
		}, "events.queueURL"},
		"a wild reserved name":    {func(c *operatorconfig.Config) { c.ReservedPlatforms = []string{"acme", "a*"} }, "reservedPlatforms[1]"},
		"too many reserved names": {func(c *operatorconfig.Config) { c.ReservedPlatforms = long }, "list fewer names under reservedPlatforms"},
	} {
		t.Run(name, func(t *testing.T) {
			for what, f := range map[string]func(*operatorconfig.Config) error{
				"Documents": func(c *operatorconfig.Config) error { _, err := Documents(c); return err },
				"Template":  func(c *operatorconfig.Config) error { _, err := Template(c); return err },
			} {
				if err := f(sample(t, c.edit)); err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s: %v, want one about %s", what, err, c.want)
				}
			}
		})
	}
	for name, issuers := range map[string][]string{
		"must be https": {"http://ci.example.org"},
		"listed twice":  {"https://gitlab.com", "https://gitlab.com/"},
	} {
		cfg := sample(t, func(c *operatorconfig.Config) {
			c.OIDCProviders = nil
			for _, issuer := range issuers {
				c.OIDCProviders = append(c.OIDCProviders, operatorconfig.OIDCProvider{Issuer: issuer})
			}
		})
		if _, err := Template(cfg); err == nil || !strings.Contains(err.Error(), "oidcProviders[") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Documents(cfg); err != nil {
			t.Errorf("policies do not speak of issuers: %v", err)
		}
	}
}

func TestQueues(t *testing.T) {
	for address, want := range map[string]string{
		"https://sqs.eu-west-1.amazonaws.com/123456789012/lanes":          "arn:aws:sqs:eu-west-1:123456789012:lanes",
		"https://sqs-fips.us-west-2.amazonaws.com/123456789012/lanes":     "arn:aws:sqs:us-west-2:123456789012:lanes",
		"https://eu-west-1.queue.amazonaws.com/123456789012/lanes":        "arn:aws:sqs:eu-west-1:123456789012:lanes",
		"https://sqs.internal.example.org/123456789012/lanes_2-b.fifo":    "arn:aws:sqs:us-east-1:123456789012:lanes_2-b.fifo",
		"https://sqs.us-east-1.amazonaws.com/210987654321/somebody-elses": "arn:aws:sqs:us-east-1:210987654321:somebody-elses",
	} {
		a, err := newAccount(sample(t, func(c *operatorconfig.Config) { c.Events.QueueURL = address }))
		if err != nil || a.queue != want {
			t.Errorf("%s: %s, %v; want %s", address, a.queue, err, want)
		}
	}
}

// parse reads the template's resources.
func parse(t *testing.T, cfg *operatorconfig.Config) map[string]any {
	t.Helper()
	text, err := Template(cfg)
	if err != nil {
		t.Fatal(err)
	}
	// Read as JSON: a policy's maps then have the one form that JSON has.
	raw, err := sigsyaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct{ Resources map[string]any }
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Resources
}

// at follows keys and indexes.
func at(t *testing.T, value any, way ...any) any {
	t.Helper()
	for _, step := range way {
		switch step := step.(type) {
		case string:
			m, _ := value.(map[string]any)
			value = m[step]
		case int:
			l, _ := value.([]any)
			if step >= len(l) {
				t.Fatalf("nothing at %v", way)
			}
			value = l[step]
		}
		if value == nil {
			t.Fatalf("nothing at %v", way)
		}
	}
	return value
}

// asJSON spells a document in one form.
func asJSON(t *testing.T, value any) string {
	t.Helper()
	if raw, ok := value.([]byte); ok {
		if err := json.Unmarshal(raw, &value); err != nil {
			t.Fatal(err)
		}
	}
	out, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
