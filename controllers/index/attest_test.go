package index_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
	"github.com/pytorch/platform-lane-operator/controllers/provenance"
	"github.com/pytorch/platform-lane-operator/controllers/provenance/provenancetest"
)

const gitHubIssuer = "https://token.actions.githubusercontent.com"

// attested is a world whose engine verifies attestations.
type attested struct {
	*world
	authority *provenancetest.Authority
	job       provenancetest.Job
}

func newAttested(t *testing.T) *attested {
	t.Helper()
	a := &attested{world: newWorld(t), authority: provenancetest.New(t)}
	a.job = provenancetest.Job{Repository: "ibm-aiu/torch-spyre", RepositoryID: 11, OwnerID: 12, Ref: "refs/heads/main", Workflow: "ibm-aiu/torch-spyre/.github/workflows/upload.yml@refs/heads/main"}
	a.lane.Publishers = []v1alpha1.Publisher{{Name: "upload", GitHubActions: v1alpha1.GitHubActionsPublisher{
		Repository: "ibm-aiu/torch-spyre", RepositoryID: 11, RepositoryOwnerID: 12, Refs: []string{"refs/heads/main"},
	}}}
	a.engine = a.fresh()
	return a
}

// fresh is an engine that has just started.
func (a *attested) fresh() *index.Engine {
	a.t.Helper()
	v, err := provenance.NewVerifier(a.authority.TrustRoot())
	if err != nil {
		a.t.Fatal(err)
	}
	e := a.without()
	e.VerifyAttestations(v, gitHubIssuer)
	return e
}

// without is an engine that was given no trust root.
func (a *attested) without() *index.Engine {
	primary := index.Target{Name: "primary", Store: a.store, BaseURLs: []string{"https://download.example"}}
	return index.New(primary, nil, a.cdn, func() time.Time { return start }, index.Limits{FilesAtOnce: 2})
}

// object is a provenance object about the stored bytes of a file.
func (a *attested) object(job provenancetest.Job, name string) []byte {
	a.t.Helper()
	sum := sha256.Sum256([]byte(a.store.Contents()[folder+name]))
	return a.authority.Object(job, name, hex.EncodeToString(sum[:]))
}

func (a *attested) attest(job provenancetest.Job, name string) {
	a.t.Helper()
	a.store.Seed(folder+name+".provenance", a.object(job, name), fake.SeedOptions{})
}

// linked tells whether the pages link an attestation of the file.
func (a *attested) linked(name string) bool {
	a.t.Helper()
	html := a.store.Contents()[htmlPage]
	return strings.Contains(html, "data-provenance") && a.entry(name).Provenance != ""
}

func (a *attested) rejections(report index.Report) map[string]string {
	out := map[string]string{}
	for _, r := range report.Rejected {
		out[strings.TrimPrefix(r.Key, folder)] = r.Reason
	}
	return out
}

func TestAttestationsAreLinkedWhenTheyHold(t *testing.T) {
	a := newAttested(t)
	good, none, bad := a.upload("1.0"), a.upload("2.0"), a.upload("3.0")
	a.attest(a.job, good)
	stranger := a.job
	stranger.RepositoryID = 99
	a.attest(stranger, bad)
	report := a.settle(a.engine)
	for name, want := range map[string]string{good: "", none: "", bad: string(provenance.ReasonForeign)} {
		a.wantListed(name, true)
		if got := a.entry(name).ProvenanceReason; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		if got := a.linked(name); got != (name == good) {
			t.Errorf("%s is linked: %v", name, got)
		}
	}
	sum := sha256.Sum256([]byte(a.store.Contents()[folder+good+".provenance"]))
	if got := a.entry(good).Provenance; got != hex.EncodeToString(sum[:]) {
		t.Errorf("the hash of the object is %q", got)
	}
	if got := a.rejections(report); len(got) != 1 || got[bad+".provenance"] != string(provenance.ReasonForeign) {
		t.Errorf("rejected: %v", got)
	}
	// What was verified is not read again, by an engine without a memory neither.
	a.store.ResetCalls()
	a.sync()
	a.syncBy(a.fresh())
	if calls := a.store.Calls(); calls[objectstore.OpHead] != 0 || calls[objectstore.OpPut] != 0 {
		t.Errorf("a second look costs %v", calls)
	}
	// A good one in its place counts, and a bad one does again.
	a.attest(a.job, bad)
	a.settle(a.engine)
	if !a.linked(bad) || a.entry(bad).ProvenanceReason != "" {
		t.Errorf("a good one after a bad one: %+v", a.entry(bad))
	}
	a.store.Seed(folder+bad+".provenance", []byte("{}"), fake.SeedOptions{})
	a.settle(a.engine)
	if a.linked(bad) || a.entry(bad).ProvenanceReason != string(provenance.ReasonInvalid) {
		t.Errorf("a bad one after a good one: %+v", a.entry(bad))
	}
	a.store.SeedDelete(folder + bad + ".provenance")
	report = a.settle(a.engine)
	if e := a.entry(bad); e.ProvenanceETag != "" || e.ProvenanceReason != "" || len(report.Rejected) != 0 {
		t.Errorf("after it was removed: %+v, rejected %v", e, report.Rejected)
	}
}

func TestNothingIsListedWithoutTheAttestationThatIsRequired(t *testing.T) {
	a := newAttested(t)
	a.lane.ProvenanceRequired = true
	name := a.upload("1.0")
	report := a.settle(a.engine)
	a.wantListed(name, false)
	if got := a.rejections(report); got[name] != string(provenance.ReasonMissing) {
		t.Errorf("rejected: %v", got)
	}
	stranger := a.job
	stranger.Ref = "refs/heads/mine"
	a.attest(stranger, name)
	report = a.settle(a.engine)
	a.wantListed(name, false)
	if got := a.rejections(report); got[name] != string(provenance.ReasonForeign) {
		t.Errorf("rejected: %v", got)
	}
	a.attest(a.job, name)
	a.settle(a.engine)
	a.wantListed(name, true)
	// Other bytes under the name are no longer the file that was attested.
	a.store.Seed(folder+name, otherBytes(t, "1.0"), fake.SeedOptions{})
	a.settle(a.engine)
	a.wantListed(name, false)
	a.attest(a.job, name)
	a.settle(a.engine)
	a.wantListed(name, false)
}

// The lane may change its mind, and what was listed then is taken off, or back.
func TestWhatTheLaneSaysTodayCounts(t *testing.T) {
	a := newAttested(t)
	plain, signed := a.upload("1.0"), a.upload("2.0")
	a.attest(a.job, signed)
	a.settle(a.engine)
	a.lane.ProvenanceRequired = true
	a.settle(a.engine)
	a.wantListed(plain, false)
	a.wantListed(signed, true)
	if got := a.entry(plain).State; got != catalog.StateUnattested {
		t.Errorf("the state is %s", got)
	}
	// A name that was published stands for the bytes that it had.
	was := a.store.Contents()[folder+plain]
	a.store.Seed(folder+plain, otherBytes(t, "1.0"), fake.SeedOptions{})
	a.attest(a.job, plain)
	a.settle(a.engine)
	a.wantListed(plain, false)
	if got := a.entry(plain).Reason; got != "Overwritten" {
		t.Errorf("other bytes with a good attestation: %q", got)
	}
	a.lane.ProvenanceRequired = false
	a.settle(a.engine)
	a.wantListed(plain, false)
	a.store.SeedDelete(folder + plain)
	a.settle(a.engine)
	a.store.Seed(folder+plain, []byte(was), fake.SeedOptions{})
	a.settle(a.engine)
	a.wantListed(plain, true)
}

func TestAYankOutlivesAnAttestation(t *testing.T) {
	a := newAttested(t)
	a.lane.ProvenanceRequired = true
	name := a.upload("1.0")
	a.settle(a.engine)
	a.bury(v1alpha1.YankIndexRemoval, name)
	a.attest(a.job, name)
	a.settle(a.engine)
	a.wantListed(name, false)
	if tomb := a.entry(name).Tombstones[0]; tomb.SHA256 == "" {
		t.Error("the tombstone of a file without an attestation does not know its hash")
	}
}

func TestWithoutATrustRoot(t *testing.T) {
	a := newAttested(t)
	a.engine = a.without()
	name := a.upload("1.0")
	a.attest(a.job, name)
	a.settle(a.engine)
	a.wantListed(name, true)
	if a.linked(name) {
		t.Error("an attestation that nobody verified is linked")
	}
	a.lane.ProvenanceRequired = true
	report := a.settle(a.engine)
	a.wantListed(name, false)
	if got := a.rejections(report); got[name] != string(provenance.ReasonNoTrustRoot) {
		t.Errorf("rejected: %v", got)
	}
	// An operator that was given one verifies what is there.
	a.settle(a.fresh())
	a.wantListed(name, true)
}

func TestAnAttestationOfAnySizeIsBounded(t *testing.T) {
	a := newAttested(t)
	name := a.upload("1.0")
	a.store.Seed(folder+name+".provenance", bytes.Repeat([]byte(" "), 8*provenance.MaxBytes), fake.SeedOptions{})
	a.settle(a.engine)
	a.wantListed(name, true)
	if got := a.entry(name).ProvenanceReason; got != string(provenance.ReasonInvalid) {
		t.Errorf("the reason is %q", got)
	}
}

// TestRefusedAttestationIsLookedAtAgain once the lane says something else about
// who may sign, or the operator trusts somebody else.
func TestRefusedAttestationIsLookedAtAgain(t *testing.T) {
	t.Run("publishers", func(t *testing.T) {
		a := newAttested(t)
		a.lane.ProvenanceRequired = true
		name := a.upload("1.0")
		other := a.job
		other.RepositoryID = 99
		a.attest(other, name)
		a.settle(a.engine)
		a.wantListed(name, false)
		a.lane.Publishers = append([]v1alpha1.Publisher{{Name: "other", GitHubActions: v1alpha1.GitHubActionsPublisher{
			Repository: "ibm-aiu/torch-spyre", RepositoryID: 99, RepositoryOwnerID: 12, Refs: []string{"refs/heads/main"},
		}}}, a.lane.Publishers...)
		a.settle(a.engine)
		a.wantListed(name, true)
		if !a.linked(name) {
			t.Errorf("entry %+v", a.entry(name))
		}
	})
	t.Run("trust root", func(t *testing.T) {
		a := newAttested(t)
		name := a.upload("1.0")
		right, stranger := a.authority, newAttested(t).authority
		a.attest(a.job, name)
		a.authority = stranger
		a.settle(a.fresh())
		if a.linked(name) {
			t.Fatal("an attestation of somebody whom nobody trusts is linked")
		}
		a.store.ResetCalls()
		a.settle(a.fresh())
		if calls := a.store.Calls(); calls[objectstore.OpHead] != 0 {
			t.Errorf("under the same trust root a second look costs %v", calls)
		}
		a.authority = right
		a.settle(a.fresh())
		if !a.linked(name) {
			t.Errorf("entry %+v", a.entry(name))
		}
	})
}
