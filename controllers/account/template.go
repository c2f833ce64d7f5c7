package account

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"text/template"

	"github.com/pytorch/platform-lane-operator/controllers/operatorconfig"
)

//go:embed template.yaml.tmpl
var templateText string

// The largest template that CloudFormation takes in a request, and the largest
// that it reads from a bucket, in bytes.
const (
	requestQuota  = 51200
	templateQuota = 1_000_000
)

var parsedTemplate = template.Must(template.New("account").Funcs(template.FuncMap{
	"quote": quote, "yaml": inYAML, "trust": trust, "comment": comment,
}).Parse(templateText))

// templateData is what the template is filled with.
type templateData struct {
	Account, Region, Description, Names  string
	RolePath, BoundaryName, BoundaryPath string

	// Large templates reach CloudFormation through a bucket.
	Large bool

	Providers []provider
	Policies  map[string]named
	// OperatorPolicies are those of the operator's role beside the first.
	OperatorPolicies []resource
	BucketPolicies   []resource
}

// provider is a token issuer that the account is to trust.
type provider struct{ LogicalID, Issuer string }

// resource is a policy that is a resource of the stack. Bucket is empty unless it
// is a bucket's.
type resource struct {
	LogicalID, Bucket string
	Policy            named
}

// Purpose is the policy's, for the template.
func (r resource) Purpose() string { return r.Policy.Purpose() }

// Purpose says what the policy is for.
func (p named) Purpose() string { return p.purpose }

// Template is everything of the account as one CloudFormation template: YAML with
// comments, the same bytes for the same configuration. The error names each field
// of the configuration that stands in its way.
func Template(cfg *operatorconfig.Config) ([]byte, error) {
	a, err := newAccount(cfg)
	if err != nil {
		return nil, err
	}
	data, err := a.templateData()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	write := func() error {
		out.Reset()
		return parsedTemplate.Execute(&out, data)
	}
	err = write()
	if err == nil && out.Len() > requestQuota {
		data.Large = true
		err = write()
	}
	if err != nil {
		return nil, fmt.Errorf("write the template: %w", err)
	}
	if out.Len() > templateQuota {
		return nil, fmt.Errorf("the template has %d bytes and CloudFormation takes %d; %s, or apply the policies one by one", out.Len(), templateQuota, fewerNames)
	}
	return out.Bytes(), nil
}

func (a *account) templateData() (*templateData, error) {
	_, boundary, _ := strings.Cut(a.boundary, ":policy/")
	d := &templateData{
		Account: a.cfg.AWS.AccountID, Region: a.cfg.Storage.Region,
		Description: "Platform lanes on the bucket " + a.bucket + ", account " + a.cfg.AWS.AccountID,
		RolePath:    a.cfg.Roles.Path, BoundaryName: path.Base(boundary),
		BoundaryPath: "/" + strings.TrimSuffix(boundary, path.Base(boundary)),
		Policies:     map[string]named{},
	}
	var names []string
	for _, p := range a.policies() {
		if _, err := p.finish(); err != nil { // It must fit.
			return nil, err
		}
		d.Policies[p.name] = p
		names = append(names, p.name)
		if strings.HasPrefix(p.name, Operator+"-") {
			d.OperatorPolicies = append(d.OperatorPolicies, resource{LogicalID: logicalID(p.name) + "Policy", Policy: p})
		}
	}
	d.Names = strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
	d.BucketPolicies = a.bucketResources(d.Policies)
	var err error
	d.Providers, err = a.providers()
	return d, err
}

// bucketResources are the policies of buckets in the stack's region: a stack
// reaches no other.
func (a *account) bucketResources(policies map[string]named) []resource {
	all := []resource{{"BucketPolicy", a.bucket, policies[BucketPolicy]}}
	for _, m := range a.mirrors {
		if m.Region == a.cfg.Storage.Region {
			all = append(all, resource{"BucketPolicyOf" + logicalID(m.Name), m.Bucket, policies[BucketPolicy+"-"+m.Name]})
		}
	}
	return all
}

func (a *account) providers() ([]provider, error) {
	var all []provider
	var problems []error
	for i, p := range a.cfg.OIDCProviders {
		host, secure := strings.CutPrefix(p.Issuer, "https://")
		if !secure {
			problems = append(problems, fmt.Errorf("oidcProviders[%d].issuer: IAM trusts https issuers only, is %q", i, p.Issuer))
			continue
		}
		id := logicalID(host)
		if slices.ContainsFunc(all, func(other provider) bool { return other.LogicalID == id }) {
			problems = append(problems, fmt.Errorf("oidcProviders[%d].issuer: %q is listed already; remove it", i, p.Issuer))
			continue
		}
		all = append(all, provider{id, p.Issuer})
	}
	return all, errors.Join(problems...)
}

// logicalID makes a name that CloudFormation takes, letters and digits alone, of
// a host or a mirror's name.
func logicalID(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	})
	for i, w := range words {
		words[i] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, "")
}

// quote writes a string so that YAML reads it as that string. A JSON string is a
// YAML string.
func quote(s string) (string, error) {
	raw, err := json.Marshal(s)
	return string(raw), err
}

// commentWidth is where comments are broken, in characters.
const commentWidth = 84

// comment breaks a text into comment lines. The first begins where the template
// has written "# " already.
func comment(indent int, text string) string {
	line := indent + 2
	var out strings.Builder
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case line+1+len(word) > commentWidth:
			out.WriteString("\n" + strings.Repeat(" ", indent) + "# ")
			line = indent + 2
		default:
			out.WriteString(" ")
			line++
		}
		out.WriteString(word)
		line += len(word)
	}
	return out.String()
}

// inYAML writes a policy as YAML: each statement below the comment that explains
// it, in the order of the JSON document.
func inYAML(indent int, p named) (string, error) {
	w := &yamlWriter{indent: strings.Repeat(" ", indent)}
	w.line("", "Version", p.Version)
	w.raw("Statement:")
	for _, s := range p.Statement {
		for _, text := range strings.Split(comment(indent, s.why), "\n") {
			w.raw("# " + strings.TrimPrefix(strings.TrimSpace(text), "# "))
		}
		w.line("- ", "Sid", s.Sid)
		w.line("  ", "Effect", string(s.Effect))
		if s.Principal != "" {
			w.line("  ", "Principal", s.Principal)
		}
		w.list("  ", "Action", s.Action)
		w.list("  ", "NotAction", s.NotAction)
		w.list("  ", "Resource", s.Resource)
		w.list("  ", "NotResource", s.NotResource)
		if len(s.Condition) > 0 {
			w.raw("  Condition:")
		}
		for _, operator := range slices.Sorted(maps.Keys(s.Condition)) {
			w.raw("    " + yamlKey(operator) + ":")
			for _, key := range slices.Sorted(maps.Keys(s.Condition[operator])) {
				w.list("      ", key, s.Condition[operator][key])
			}
		}
	}
	return strings.TrimSuffix(w.out.String(), "\n"), w.err
}

// yamlWriter writes lines below an indentation and keeps the first error.
type yamlWriter struct {
	indent string
	out    strings.Builder
	err    error
}

func (w *yamlWriter) raw(text string) { w.out.WriteString(w.indent + text + "\n") }

func (w *yamlWriter) line(lead, key, value string) {
	quoted, err := quote(value)
	w.err = errors.Join(w.err, err)
	w.raw(lead + yamlKey(key) + ": " + quoted)
}

func (w *yamlWriter) list(lead, key string, members values) {
	switch {
	case len(members) == 0:
	case len(members) == 1:
		w.line(lead, key, members[0])
	case len(members) > longList:
		w.flow(lead, key, members)
	default:
		w.raw(lead + yamlKey(key) + ":")
		for _, m := range members {
			quoted, err := quote(m)
			w.err = errors.Join(w.err, err)
			w.raw(lead + "- " + quoted)
		}
	}
}

// longList is how many members of a list still stand on a line each.
const longList = 64

// flow writes a long list of short names, many on a line.
func (w *yamlWriter) flow(lead, key string, members values) {
	w.raw(lead + yamlKey(key) + ": [")
	line := ""
	for _, m := range members {
		quoted, err := quote(m)
		w.err = errors.Join(w.err, err)
		if len(line) > 0 && len(w.indent)+len(lead)+len(line)+len(quoted) > commentWidth {
			w.raw(lead + "  " + strings.TrimSpace(line))
			line = ""
		}
		line += quoted + ", "
	}
	w.raw(lead + "  " + strings.TrimSuffix(line, ", "))
	w.raw(lead + "]")
}

// yamlKey quotes keys that YAML would read as something else: those with a colon,
// and Null.
func yamlKey(key string) string {
	if strings.Contains(key, ":") || key == null {
		return `"` + key + `"`
	}
	return key
}

// trust is a trust policy that lets one service account of the cluster in, for
// CloudFormation to fill in the parameters.
func trust(indent int, serviceAccount string) (string, error) {
	const issuer = "${ClusterOIDCIssuer}"
	raw, err := json.MarshalIndent(map[string]any{
		"Version": policyVersion,
		"Statement": []any{map[string]any{
			"Effect":    allow,
			"Principal": map[string]string{"Federated": "arn:${AWS::Partition}:iam::${AWS::AccountId}:oidc-provider/" + issuer},
			"Action":    "sts:AssumeRoleWithWebIdentity",
			"Condition": map[string]any{stringEquals: map[string]string{
				issuer + ":aud": "sts.amazonaws.com",
				issuer + ":sub": "system:serviceaccount:${" + serviceAccount + "}",
			}},
		}},
	}, strings.Repeat(" ", indent), "  ")
	return strings.Repeat(" ", indent) + string(raw), err
}
