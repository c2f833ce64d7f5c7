package provenancetest

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"google.golang.org/protobuf/encoding/protojson"
)

const payloadType = "application/vnd.in-toto+json"

// Statement is an in-toto statement about one file, as an upload attests it
// (PEP 740).
func Statement(name, hexSHA256 string) []byte {
	raw, err := json.Marshal(map[string]any{
		"_type":         "https://in-toto.io/Statement/v1",
		"subject":       []any{map[string]any{"name": name, "digest": map[string]string{"sha256": hexSHA256}}},
		"predicateType": "https://docs.pypi.org/attestations/publish/v1",
		"predicate":     nil,
	})
	if err != nil {
		panic(err)
	}
	return raw
}

// Object is the provenance object of PEP 740 with one attestation of a file.
func (a *Authority) Object(job Job, name, hexSHA256 string) []byte {
	a.t.Helper()
	return a.Wrap(job.Repository, a.Attest(job, Statement(name, hexSHA256)))
}

// Wrap makes a provenance object of attestations. repository is what it claims
// of who signed them.
func (a *Authority) Wrap(repository string, attestations ...Attestation) []byte {
	a.t.Helper()
	raw, err := json.Marshal(map[string]any{"version": 1, "attestation_bundles": []any{map[string]any{
		"publisher":    map[string]any{"kind": "GitHub", "claims": nil, "repository": repository, "workflow": "upload.yml"},
		"attestations": attestations,
	}}})
	a.must(err)
	return raw
}

// Attestation is one attestation object of PEP 740.
type Attestation struct {
	Version  int      `json:"version"`
	Material Material `json:"verification_material"`
	Envelope Envelope `json:"envelope"`
}

// Material is what an attestation is verified with.
type Material struct {
	Certificate []byte            `json:"certificate"`
	Entries     []json.RawMessage `json:"transparency_entries"`
}

// Envelope is what was signed.
type Envelope struct {
	Statement []byte `json:"statement"`
	Signature []byte `json:"signature"`
}

// Attest signs a statement and logs it.
func (a *Authority) Attest(job Job, statement []byte) Attestation {
	a.t.Helper()
	cert, key := a.certify(job)
	digest := sha256.Sum256(dsse.PAE(payloadType, statement))
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	a.must(err)
	envelope := &dsse.Envelope{
		PayloadType: payloadType, Payload: base64.StdEncoding.EncodeToString(statement),
		Signatures: []dsse.Signature{{Sig: base64.StdEncoding.EncodeToString(signature)}},
	}
	entry, err := a.transparencyLog.GenerateTlogEntry(cert, envelope, signature, time.Now().Unix(), true)
	a.must(err)
	logged, err := protojson.Marshal(a.complete(entry.TransparencyLogEntry()))
	a.must(err)
	return Attestation{1, Material{cert.Raw, []json.RawMessage{logged}}, Envelope{statement, signature}}
}

// complete adds what the log tells its clients beside the entry: its kind, and
// the promise that it was included at that time.
func (a *Authority) complete(entry *protorekor.TransparencyLogEntry) *protorekor.TransparencyLogEntry {
	promise, err := a.transparencyLog.RekorSignPayload(tlog.RekorPayload{
		Body: base64.StdEncoding.EncodeToString(entry.CanonicalizedBody), IntegratedTime: entry.IntegratedTime,
		LogIndex: entry.LogIndex, LogID: hex.EncodeToString(entry.LogId.KeyId),
	})
	a.must(err)
	entry.InclusionPromise = &protorekor.InclusionPromise{SignedEntryTimestamp: promise}
	entry.KindVersion = &protorekor.KindVersion{Kind: "dsse", Version: "0.0.1"}
	return entry
}
