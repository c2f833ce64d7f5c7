package provenance

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/pytorch/platform-lane-operator/controllers/wheel"
)

// Reasons for which a provenance object is refused.
const (
	// ReasonMissing: the lane lists nothing without provenance, and there is none.
	ReasonMissing wheel.Reason = "ProvenanceMissing"
	// ReasonInvalid: a signature, a certificate, a log entry or the form is wrong.
	ReasonInvalid wheel.Reason = "ProvenanceInvalid"
	// ReasonForeign: it is sound and speaks of another file, or was signed by
	// somebody who is no publisher of the lane.
	ReasonForeign wheel.Reason = "ProvenanceForeign"
	// ReasonNoTrustRoot: the operator was given nothing to verify against.
	ReasonNoTrustRoot wheel.Reason = "ProvenanceUnverifiable"
)

// maxMessage bounds the part of a message that comes from a library, in bytes.
const maxMessage = 300

// Verifier verifies against one trust root. It is safe for concurrent use.
type Verifier struct {
	sigstore *verify.Verifier
	root     [sha256.Size]byte
}

// Root stands for the trust root: another one has another value.
func (v *Verifier) Root() [sha256.Size]byte { return v.root }

// NewVerifier reads a trust root: one or several of Sigstore's trusted_root.json
// in a row, as `gh attestation trusted-root` and `cosign trusted-root create`
// write them.
func NewVerifier(trustedRoot []byte) (*Verifier, error) {
	material, err := readRoots(trustedRoot)
	if err != nil {
		return nil, fmt.Errorf("read the Sigstore trust root: %w; write it anew, for example with `gh attestation trusted-root`", err)
	}
	sigstore, err := verify.NewVerifier(material,
		verify.WithSignedCertificateTimestamps(1), verify.WithTransparencyLog(1), verify.WithObserverTimestamps(1))
	if err != nil {
		return nil, fmt.Errorf("use the Sigstore trust root: %w", err)
	}
	return &Verifier{sigstore, sha256.Sum256(trustedRoot)}, nil
}

// readRoots reads what may be JSON or JSON Lines.
func readRoots(raw []byte) (root.TrustedMaterialCollection, error) {
	var roots root.TrustedMaterialCollection
	for in := json.NewDecoder(bytes.NewReader(raw)); ; {
		var one json.RawMessage
		err := in.Decode(&one)
		if errors.Is(err, io.EOF) && len(roots) > 0 {
			return roots, nil
		}
		if err != nil {
			return nil, err
		}
		material, err := root.NewTrustedRootFromJSON(one)
		if err != nil {
			return nil, err
		}
		roots = append(roots, material)
	}
}

// File is what an object has to speak of.
type File struct {
	// Name of the file, as the statement's subject has it.
	Name string
	// SHA256 of its bytes, in lower-case hexadecimal.
	SHA256 string
}

// Verify returns nil if every attestation of the object is sound, speaks of the
// file and was signed by one of the identities: the page links the whole object,
// so that one bad attestation spoils it. Otherwise the error is a
// *wheel.Rejection.
func (v *Verifier) Verify(raw []byte, file File, ids []Identity) error {
	digest, err := hex.DecodeString(file.SHA256)
	if err != nil || len(digest) != 32 {
		return fmt.Errorf("%q is no SHA-256", file.SHA256)
	}
	o, err := parse(raw)
	if err != nil {
		return invalid(err)
	}
	if len(ids) == 0 {
		return &wheel.Rejection{Reason: ReasonForeign, Message: "the lane has no publisher whose attestations can be verified; name a gitHubActions publisher, or one of gitlab.com"}
	}
	for _, b := range o.AttestationBundles {
		for _, a := range b.Attestations {
			if err := v.verify(a, b.Publisher, file, digest, ids); err != nil {
				return err
			}
		}
	}
	return nil
}

func (v *Verifier) verify(a attestation, claimed publisher, file File, digest []byte, ids []Identity) error {
	entity, err := a.bundle()
	if err != nil {
		return invalid(err)
	}
	// Who signed is compared below, where a message can say what differs.
	result, err := v.sigstore.Verify(entity, verify.NewPolicy(verify.WithArtifactDigest("sha256", digest), verify.WithoutIdentitiesUnsafe()))
	if err != nil {
		return invalid(err)
	}
	if result.Statement == nil || len(result.Statement.Subject) != 1 || result.Statement.Subject[0].Name != file.Name {
		return &wheel.Rejection{Reason: ReasonForeign, Message: "an attestation speaks of another file, or of several; attest each file by itself, under its own name"}
	}
	if result.Signature == nil || result.Signature.Certificate == nil {
		return invalid(errors.New("it was not signed with a certificate"))
	}
	var differences []string
	for _, id := range ids {
		why := id.differs(*result.Signature.Certificate)
		if why == "" && id.repository != "" && claimed.Repository != "" && !strings.EqualFold(claimed.Repository, id.repository) {
			why = fmt.Sprintf("the object claims the repository %+q", cut(claimed.Repository))
		}
		if why == "" {
			return nil
		}
		differences = append(differences, id.Publisher+" ("+why+")")
	}
	return &wheel.Rejection{Reason: ReasonForeign, Message: cut("an attestation was signed by nobody who may publish to this lane; it is not from " + strings.Join(differences, ", nor from "))}
}

func invalid(err error) error {
	return &wheel.Rejection{Reason: ReasonInvalid, Message: "the provenance beside the file is not valid: " + cut(err.Error()) + "; upload the object that the build's attestation step wrote"}
}

// cut makes foreign text fit for a message: printable ASCII, bounded.
func cut(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
	if len(text) > maxMessage {
		text = text[:maxMessage] + "..."
	}
	return text
}
