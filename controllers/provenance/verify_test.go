package provenance_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/provenance"
	"github.com/pytorch/platform-lane-operator/controllers/provenance/provenancetest"
	"github.com/pytorch/platform-lane-operator/controllers/wheel"
)

const (
	gitHub = "https://token.actions.githubusercontent.com"
	upload = "pytorch/test-infra/.github/workflows/_binary_upload.yml@refs/heads/main"
	name   = "torch-2.9.0+spyre-cp312-cp312-linux_x86_64.whl"
)

var (
	digest = strings.Repeat("ab", 32)
	file   = provenance.File{Name: name, SHA256: digest}
	job    = provenancetest.Job{Repository: "ibm-aiu/torch-spyre", RepositoryID: 11, OwnerID: 12, Ref: "refs/heads/main", Workflow: upload}
)

func publishers() []v1alpha1.Publisher {
	return []v1alpha1.Publisher{{Name: "upload", GitHubActions: v1alpha1.GitHubActionsPublisher{
		Repository: "ibm-aiu/torch-spyre", RepositoryID: 11, RepositoryOwnerID: 12,
		Refs: []string{"refs/heads/main", "refs/tags/v*"}, WorkflowRefs: []string{upload},
	}}}
}

func verifier(t *testing.T, a *provenancetest.Authority) *provenance.Verifier {
	t.Helper()
	v, err := provenance.NewVerifier(a.TrustRoot())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// reason is why a file was refused; empty if it was not.
func reason(t *testing.T, err error) wheel.Reason {
	t.Helper()
	if err == nil {
		return ""
	}
	var r *wheel.Rejection
	if !errors.As(err, &r) {
		t.Fatalf("%v is no rejection", err)
	}
	if r.Message == "" || len(r.Message) > 512 {
		t.Errorf("a message of %d bytes: %q", len(r.Message), r.Message)
	}
	return r.Reason
}

func TestWhoMaySign(t *testing.T) {
	a := provenancetest.New(t)
	v := verifier(t, a)
	for what, c := range map[string]struct {
		change func(*provenancetest.Job)
		want   wheel.Reason
	}{
		"the lane's own job":   {func(*provenancetest.Job) {}, ""},
		"a tag that matches":   {func(j *provenancetest.Job) { j.Ref = "refs/tags/v2.9.0" }, ""},
		"a renamed repository": {func(j *provenancetest.Job) { j.Repository = "ibm-aiu/renamed" }, provenance.ReasonForeign}, // by its own claim
		"another repository":   {func(j *provenancetest.Job) { j.RepositoryID = 13 }, provenance.ReasonForeign},
		"another owner":        {func(j *provenancetest.Job) { j.OwnerID = 13 }, provenance.ReasonForeign},
		"another branch":       {func(j *provenancetest.Job) { j.Ref = "refs/heads/main2" }, provenance.ReasonForeign},
		"a pull request":       {func(j *provenancetest.Job) { j.Ref = "refs/pull/1/merge" }, provenance.ReasonForeign},
		"another workflow": {func(j *provenancetest.Job) {
			j.Workflow = "ibm-aiu/torch-spyre/.github/workflows/x.yml@refs/heads/main"
		}, provenance.ReasonForeign},
		"the workflow from a branch": {func(j *provenancetest.Job) { j.Workflow += "2" }, provenance.ReasonForeign},
		"another issuer":             {func(j *provenancetest.Job) { j.Issuer = "https://gitlab.com" }, provenance.ReasonForeign},
		"a certificate in no log":    {func(j *provenancetest.Job) { j.Unlogged = true }, provenance.ReasonInvalid},
	} {
		j := job
		c.change(&j)
		err := v.Verify(a.Object(j, name, digest), file, provenance.Identities(publishers(), gitHub))
		if got := reason(t, err); got != c.want {
			t.Errorf("%s: %v, want %q", what, err, c.want)
		}
	}
}

func TestGitLab(t *testing.T) {
	a := provenancetest.New(t)
	v := verifier(t, a)
	ids := provenance.Identities([]v1alpha1.Publisher{{Name: "ci", OIDC: v1alpha1.OIDCPublisher{
		Issuer: "https://gitlab.com", Subjects: []string{"project_path:tt/torch:ref_type:branch:ref:main", "project_path:tt/torch:ref_type:tag:ref:v*"},
		Claims: []v1alpha1.ClaimRule{{Key: "project_id", Values: []string{"21"}}, {Key: "namespace_id", Values: []string{"22"}}, {Key: "ref_protected", Values: []string{"true"}}},
	}}}, gitHub)
	own := provenancetest.Job{Issuer: "https://gitlab.com", Server: "https://gitlab.com/", Repository: "tt/torch", RepositoryID: 21, OwnerID: 22, Ref: "refs/heads/main", Workflow: "tt/torch//.gitlab-ci.yml@refs/heads/main"}
	for what, c := range map[string]struct {
		change func(*provenancetest.Job)
		want   wheel.Reason
	}{
		"the lane's own job": {func(*provenancetest.Job) {}, ""},
		"a tag":              {func(j *provenancetest.Job) { j.Ref = "refs/tags/v1" }, ""},
		"a branch":           {func(j *provenancetest.Job) { j.Ref = "refs/heads/dev" }, provenance.ReasonForeign},
		"a branch like a tag": {func(j *provenancetest.Job) { j.Ref = "refs/heads/v1" },
			provenance.ReasonForeign},
		"another project":   {func(j *provenancetest.Job) { j.Repository = "tt/torch2" }, provenance.ReasonForeign},
		"a recycled name":   {func(j *provenancetest.Job) { j.RepositoryID = 1 }, provenance.ReasonForeign},
		"a recycled group":  {func(j *provenancetest.Job) { j.OwnerID = 1 }, provenance.ReasonForeign},
		"another server":    {func(j *provenancetest.Job) { j.Server = "https://gitlab.example/" }, provenance.ReasonForeign},
		"a job of GitHub's": {func(j *provenancetest.Job) { j.Issuer = gitHub }, provenance.ReasonForeign},
	} {
		j := own
		c.change(&j)
		if err := v.Verify(a.Object(j, name, digest), file, ids); reason(t, err) != c.want {
			t.Errorf("%s: %v, want %q", what, err, c.want)
		}
	}
}

func TestWhatIsAttested(t *testing.T) {
	a, other := provenancetest.New(t), provenancetest.New(t)
	v, ids := verifier(t, a), provenance.Identities(publishers(), gitHub)
	good := a.Object(job, name, digest)
	tamper := func(old, with string) []byte { return bytes.Replace(good, []byte(old), []byte(with), 1) }
	attest := func(change func(*provenancetest.Attestation)) []byte {
		signed := a.Attest(job, provenancetest.Statement(name, digest))
		change(&signed)
		return a.Wrap(job.Repository, signed)
	}
	two := func(statement []byte) []byte {
		return a.Wrap(job.Repository, a.Attest(job, provenancetest.Statement(name, digest)), a.Attest(job, statement))
	}
	subjects := func(n int) []byte {
		var s map[string]json.RawMessage
		if err := json.Unmarshal(provenancetest.Statement(name, digest), &s); err != nil {
			t.Fatal(err)
		}
		one := bytes.Trim(s["subject"], "[]")
		s["subject"] = slices.Concat([]byte("["), bytes.Join(slices.Repeat([][]byte{one}, n), []byte(",")), []byte("]"))
		raw, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	for what, c := range map[string]struct {
		object []byte
		want   wheel.Reason
	}{
		"good":                        {good, ""},
		"two good ones":               {two(provenancetest.Statement(name, digest)), ""},
		"empty":                       {nil, provenance.ReasonInvalid},
		"not JSON":                    {[]byte("attested!"), provenance.ReasonInvalid},
		"no attestation":              {a.Wrap(job.Repository), provenance.ReasonInvalid},
		"another version":             {tamper(`"version":1}`, `"version":2}`), provenance.ReasonInvalid},
		"too large":                   {append(bytes.Clone(good), bytes.Repeat([]byte(" "), provenance.MaxBytes)...), provenance.ReasonInvalid},
		"another file's bytes":        {a.Object(job, name, strings.Repeat("cd", 32)), provenance.ReasonInvalid},
		"another file's name":         {a.Object(job, "torch-2.9.1+spyre-cp312-cp312-linux_x86_64.whl", digest), provenance.ReasonForeign},
		"several subjects":            {a.Wrap(job.Repository, a.Attest(job, subjects(2))), provenance.ReasonForeign},
		"one good and one foreign":    {two(provenancetest.Statement("x", digest)), provenance.ReasonForeign},
		"one good and one other hash": {two(provenancetest.Statement(name, strings.Repeat("cd", 32))), provenance.ReasonInvalid},
		"of an unknown authority":     {other.Object(job, name, digest), provenance.ReasonInvalid},
		"claims another repository":   {a.Wrap("evil/torch", a.Attest(job, provenancetest.Statement(name, digest))), provenance.ReasonForeign},
		"a replaced statement": {attest(func(m *provenancetest.Attestation) {
			m.Envelope.Statement = provenancetest.Statement(name, strings.Repeat("cd", 32))
		}), provenance.ReasonInvalid},
		"a replaced signature": {attest(func(m *provenancetest.Attestation) {
			m.Envelope.Signature = a.Attest(job, provenancetest.Statement(name, digest)).Envelope.Signature
		}), provenance.ReasonInvalid},
		"not in the log": {attest(func(m *provenancetest.Attestation) {
			m.Material.Entries = nil
		}), provenance.ReasonInvalid},
		"another's log entry": {attest(func(m *provenancetest.Attestation) {
			m.Material.Entries = a.Attest(job, provenancetest.Statement(name, digest)).Material.Entries
		}), provenance.ReasonInvalid},
		"of an attestation's unknown version": {attest(func(m *provenancetest.Attestation) { m.Version = 2 }), provenance.ReasonInvalid},
	} {
		if err := v.Verify(c.object, file, ids); reason(t, err) != c.want {
			t.Errorf("%s: %v, want %q", what, err, c.want)
		}
	}
	if err := v.Verify(good, file, nil); reason(t, err) != provenance.ReasonForeign {
		t.Errorf("a lane whose publishers cannot sign: %v", err)
	}
	if err := v.Verify(good, provenance.File{Name: name}, ids); err == nil {
		t.Error("a file without a hash passed")
	}
}

func TestEnvironmentAlone(t *testing.T) {
	a := provenancetest.New(t)
	v := verifier(t, a)
	p := publishers()
	p[0].GitHubActions.Refs, p[0].GitHubActions.WorkflowRefs, p[0].GitHubActions.Environment = nil, nil, "release"
	for ref, want := range map[string]wheel.Reason{"refs/heads/dev": "", "refs/tags/x": "", "refs/pull/7/merge": provenance.ReasonForeign, "": provenance.ReasonForeign} {
		j := job
		j.Ref = ref
		if err := v.Verify(a.Object(j, name, digest), file, provenance.Identities(p, gitHub)); reason(t, err) != want {
			t.Errorf("%q: %v, want %q", ref, err, want)
		}
	}
}

func TestTrustRoot(t *testing.T) {
	a, other := provenancetest.New(t), provenancetest.New(t)
	one := string(a.TrustRoot())
	for _, raw := range []string{"", "{}", "null", "not JSON", one + "{}", one + "x"} {
		if v, err := provenance.NewVerifier([]byte(raw)); err == nil {
			t.Errorf("%q gives %v", raw, v)
		}
	}
	// Several roots in a row are all trusted.
	v, err := provenance.NewVerifier([]byte(string(other.TrustRoot()) + "\n" + one + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, by := range []*provenancetest.Authority{a, other} {
		if err := v.Verify(by.Object(job, name, digest), file, provenance.Identities(publishers(), gitHub)); err != nil {
			t.Error(err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	a := provenancetest.New(f)
	v, err := provenance.NewVerifier(a.TrustRoot())
	if err != nil {
		f.Fatal(err)
	}
	ids := provenance.Identities(publishers(), gitHub)
	good := a.Object(job, name, digest)
	f.Add(good)
	f.Add(a.Wrap("x"))
	f.Add([]byte(`{"version":1,"attestation_bundles":[{"attestations":[{"version":1}]}]}`))
	other := provenance.File{Name: name, SHA256: strings.Repeat("00", 32)}
	f.Fuzz(func(t *testing.T, raw []byte) {
		// Whatever it is, it is no attestation of these bytes.
		if v.Verify(raw, other, ids) == nil {
			t.Errorf("accepted: %q", raw)
		}
	})
}
