package index

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"

	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/provenance"
	"github.com/pytorch/platform-lane-operator/controllers/wheel"
)

const (
	messageMissing   = "there is no attestation beside the file, and the lane lists nothing without one; upload the provenance object that the build's attestation step wrote, under the file's name and " + layout.ProvenanceSuffix
	messageNoRoot    = "the lane lists nothing without an attestation, and the operator has no trust root to verify one against; set provenance.trustedRootFile in the operator's configuration"
	listedWithoutIt  = "; the file is listed without it"
	unlistedBecause  = "; the lane lists nothing without a verified attestation"
	maxStoredMessage = 512
)

// VerifyAttestations makes the engine verify what lies beside files as their
// attestation (PEP 740). gitHubIssuer issues the tokens of GitHub Actions. It is
// called before the first Sync; without it attestations are left alone.
func (e *Engine) VerifyAttestations(v *provenance.Verifier, gitHubIssuer string) {
	e.verifier, e.gitHubIssuer = v, gitHubIssuer
}

// signers are those who may sign for the lane.
func (e *Engine) signers(lane Lane) []provenance.Identity {
	if e.verifier == nil {
		return nil
	}
	return provenance.Identities(lane.Publishers, e.gitHubIssuer)
}

// trust stands for all that the verdict on an attestation hangs on beside the
// attestation: who may sign for the lane, and the trust root. It is empty where
// attestations are not verified.
func (e *Engine) trust(lane Lane) string {
	if e.verifier == nil {
		return ""
	}
	said, root := digestOf(Lane{Publishers: lane.Publishers}), e.verifier.Root()
	d := newDigester()
	d.add(string(said[:]), e.gitHubIssuer, string(root[:]))
	sum := d.sum()
	return hex.EncodeToString(sum[:8])
}

// attestable tells whether the attestation beside a file is still to be looked
// at. One that was refused may be good under what is trusted now; one that was
// verified stays so: who signed it had the right to.
func attestable(entry *catalog.File, etag, trust string) bool {
	return trust != "" && (etag != entry.ProvenanceETag || entry.ProvenanceReason != "" && entry.ProvenanceUnder != trust)
}

// attest verifies the attestation beside a file and notes the result. An error
// means that it could not be read.
func (e *Engine) attest(ctx context.Context, c candidate, file *catalog.File) error {
	etag := c.obj.provenance
	switch {
	case e.verifier == nil || etag == "":
		return nil
	case c.known() && !attestable(c.entry, etag, c.trust):
		file.Provenance, file.ProvenanceETag = c.entry.Provenance, etag
		file.ProvenanceUnder, file.ProvenanceReason, file.ProvenanceMessage = c.entry.ProvenanceUnder, c.entry.ProvenanceReason, c.entry.ProvenanceMessage
		return nil
	}
	raw, err := e.readAttestation(ctx, c.key+layout.ProvenanceSuffix, etag)
	if err != nil {
		return err
	}
	file.ProvenanceETag = etag
	err = e.verifier.Verify(raw, provenance.File{Name: file.Name, SHA256: file.SHA256}, c.signers)
	var refused *wheel.Rejection
	if errors.As(err, &refused) {
		file.ProvenanceUnder, file.ProvenanceReason, file.ProvenanceMessage = c.trust, string(refused.Reason), refused.Message
		return nil
	}
	if err == nil {
		sum := sha256.Sum256(raw)
		file.Provenance = hex.EncodeToString(sum[:])
	}
	return err
}

// readAttestation reads exactly what was listed, and one byte more than is
// believed at most.
func (e *Engine) readAttestation(ctx context.Context, key, etag string) ([]byte, error) {
	body, _, err := e.Primary().Store.Get(ctx, key, objectstore.GetOptions{IfMatch: etag})
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	return io.ReadAll(io.LimitReader(body, provenance.MaxBytes+1))
}

// demandAttestations takes files without a verified attestation off the page if
// the lane lists nothing without one, and puts them back when it does, or when
// they have one. Only what the lane says today counts.
func (p *project) demandAttestations(c *catalog.Catalog) (changed bool) {
	for i := range c.Files {
		f := &c.Files[i]
		before := *f
		switch missing := p.attested && f.Provenance == ""; {
		case f.Link != nil:
		case missing && (f.State == catalog.StateListed || f.State == catalog.StateUnattested):
			f.State = catalog.StateUnattested
			f.Reason, f.Message = p.unattested(f)
		case !missing && f.State == catalog.StateUnattested:
			f.State, f.Reason, f.Message = catalog.StateListed, "", ""
		}
		changed = changed || f.State != before.State || f.Reason != before.Reason || f.Message != before.Message
	}
	return changed
}

// unattested says why a file has no verified attestation.
func (p *project) unattested(f *catalog.File) (reason, message string) {
	switch {
	case p.trust == "":
		return string(provenance.ReasonNoTrustRoot), messageNoRoot
	case f.ProvenanceReason != "":
		return f.ProvenanceReason, shorten(f.ProvenanceMessage, unlistedBecause)
	default:
		return string(provenance.ReasonMissing), messageMissing
	}
}

// shorten puts an end to a message that may be as long as a status may hold.
func shorten(message, end string) string {
	return message[:min(len(message), maxStoredMessage-len(end))] + end
}
