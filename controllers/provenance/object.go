package provenance

import (
	"encoding/json"
	"fmt"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"google.golang.org/protobuf/encoding/protojson"
)

// MaxBytes bounds a provenance object. One attestation has about 8 KB.
const MaxBytes = 1 << 20

// maxAttestations bounds how many attestations of an object are verified: each
// costs some signatures.
const maxAttestations = 16

// formatVersion is the only version of PEP 740's objects.
const formatVersion = 1

// payloadType is what every attestation's envelope holds (PEP 740).
const payloadType = "application/vnd.in-toto+json"

// bundleMediaType is the form of Sigstore's that an attestation is turned into.
const bundleMediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// object is a provenance object (PEP 740, "Provenance objects").
type object struct {
	Version            int                 `json:"version"`
	AttestationBundles []attestationBundle `json:"attestation_bundles"`
}

type attestationBundle struct {
	Publisher    publisher     `json:"publisher"`
	Attestations []attestation `json:"attestations"`
}

// publisher is who the object says has signed. It is a claim for people: what
// counts is the certificate, and a claim that contradicts it is refused.
type publisher struct {
	Kind       string `json:"kind"`
	Repository string `json:"repository"`
}

type attestation struct {
	Version              int `json:"version"`
	VerificationMaterial struct {
		Certificate         []byte            `json:"certificate"`
		TransparencyEntries []json.RawMessage `json:"transparency_entries"`
	} `json:"verification_material"`
	Envelope struct {
		Statement []byte `json:"statement"`
		Signature []byte `json:"signature"`
	} `json:"envelope"`
}

// parse reads an object. What it returns holds at least one attestation.
func parse(raw []byte) (object, error) {
	var o object
	if len(raw) > MaxBytes {
		return o, fmt.Errorf("it has %d bytes, at most %d are read", len(raw), MaxBytes)
	}
	if err := json.Unmarshal(raw, &o); err != nil {
		return o, fmt.Errorf("it is no provenance object of PEP 740: %w", err)
	}
	if o.Version != formatVersion {
		return o, fmt.Errorf("its version is %d, known is %d", o.Version, formatVersion)
	}
	count := 0
	for _, b := range o.AttestationBundles {
		count += len(b.Attestations)
	}
	if count == 0 || count > maxAttestations {
		return o, fmt.Errorf("it holds %d attestations, 1 to %d are expected", count, maxAttestations)
	}
	return o, nil
}

// bundle is the attestation in Sigstore's own form.
func (a attestation) bundle() (*bundle.Bundle, error) {
	if a.Version != formatVersion {
		return nil, fmt.Errorf("its version is %d, known is %d", a.Version, formatVersion)
	}
	var entries []*protorekor.TransparencyLogEntry
	for _, raw := range a.VerificationMaterial.TransparencyEntries {
		entry := &protorekor.TransparencyLogEntry{}
		if err := protojson.Unmarshal(raw, entry); err != nil {
			return nil, fmt.Errorf("its transparency log entry cannot be read: %w", err)
		}
		entries = append(entries, entry)
	}
	return bundle.NewBundle(&protobundle.Bundle{
		MediaType: bundleMediaType,
		VerificationMaterial: &protobundle.VerificationMaterial{
			Content: &protobundle.VerificationMaterial_Certificate{
				Certificate: &protocommon.X509Certificate{RawBytes: a.VerificationMaterial.Certificate},
			},
			TlogEntries: entries,
		},
		Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{
			Payload: a.Envelope.Statement, PayloadType: payloadType,
			Signatures: []*protodsse.Signature{{Sig: a.Envelope.Signature}},
		}},
	})
}
