// Package provenancetest signs attestations for tests: a certificate authority, a
// certificate transparency log and a transparency log of its own, whose trust
// root the verifier is handed. Nothing asks the network.
package provenancetest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"net/url"
	"strconv"
	"testing"
	"time"

	ct "github.com/google/certificate-transparency-go"
	cttls "github.com/google/certificate-transparency-go/tls"
	"github.com/google/certificate-transparency-go/x509util"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
)

// Authority signs.
type Authority struct {
	t               testing.TB
	root, issuer    *x509.Certificate
	issuerKey       *ecdsa.PrivateKey
	certificateLog  *ecdsa.PrivateKey
	transparencyLog *ca.VirtualSigstore
	trustRoot       []byte
}

// New is an authority with fresh keys.
func New(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{t: t}
	var rootKey *ecdsa.PrivateKey
	var err error
	a.root, rootKey, err = ca.GenerateRootCa()
	a.must(err)
	a.issuer, a.issuerKey, err = ca.GenerateFulcioIntermediate(a.root, rootKey)
	a.must(err)
	a.certificateLog, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	a.must(err)
	a.transparencyLog, err = ca.NewVirtualSigstore()
	a.must(err)
	return a
}

func (a *Authority) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

// TrustRoot is what a verifier that trusts this authority is handed: the same
// bytes each time, as from a file.
func (a *Authority) TrustRoot() []byte {
	a.t.Helper()
	if a.trustRoot != nil {
		return a.trustRoot
	}
	from, to := time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	log := func(key crypto.PublicKey) map[string]*root.TransparencyLog {
		id := a.keyID(key)
		return map[string]*root.TransparencyLog{hex.EncodeToString(id): {
			BaseURL: "https://rekor.localhost", ID: id, ValidityPeriodStart: from, ValidityPeriodEnd: to,
			HashFunc: crypto.SHA256, PublicKey: key, SignatureHashFunc: crypto.SHA256,
		}}
	}
	var transparency map[string]*root.TransparencyLog
	for _, l := range a.transparencyLog.RekorLogs() {
		transparency = log(l.PublicKey)
	}
	trusted, err := root.NewTrustedRoot(root.TrustedRootMediaType01,
		[]root.CertificateAuthority{&root.FulcioCertificateAuthority{
			Root: a.root, Intermediates: []*x509.Certificate{a.issuer},
			ValidityPeriodStart: from, ValidityPeriodEnd: to, URI: "https://fulcio.localhost",
		}},
		log(a.certificateLog.Public()), nil, transparency)
	a.must(err)
	raw, err := trusted.MarshalJSON()
	a.must(err)
	a.trustRoot = raw
	return raw
}

func (a *Authority) keyID(key crypto.PublicKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(key)
	a.must(err)
	id := sha256.Sum256(der)
	return id[:]
}

// Job is who signs: what Fulcio writes of a job's token into the certificate.
type Job struct {
	// Issuer of the token; GitHub Actions' when empty.
	Issuer string
	// Server is the forge's address; GitHub's when empty.
	Server string
	// Repository is owner/name.
	Repository            string
	RepositoryID, OwnerID int64
	Ref                   string
	// Workflow that signs, as job_workflow_ref has it.
	Workflow string
	// Unlogged leaves out the certificate log's promise.
	Unlogged bool
}

// The extensions of Fulcio's certificates that identities are made of.
var (
	oidIssuer       = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 8}
	oidBuildSigner  = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 9}
	oidRepository   = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 12}
	oidRef          = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 14}
	oidRepositoryID = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 15}
	oidOwnerID      = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 17}
	oidPromises     = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}
)

// certify is a short-lived certificate for the job.
func (a *Authority) certify(job Job) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	if job.Issuer == "" {
		job.Issuer = "https://token.actions.githubusercontent.com"
	}
	if job.Server == "" {
		job.Server = "https://github.com/"
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	a.must(err)
	signer, err := url.Parse(job.Server + job.Workflow)
	a.must(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), URIs: []*url.URL{signer},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(9 * time.Minute),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}
	for _, e := range []struct {
		id    asn1.ObjectIdentifier
		value string
	}{
		{oidIssuer, job.Issuer},
		{oidBuildSigner, signer.String()},
		{oidRepository, job.Server + job.Repository},
		{oidRef, job.Ref},
		{oidRepositoryID, strconv.FormatInt(job.RepositoryID, 10)},
		{oidOwnerID, strconv.FormatInt(job.OwnerID, 10)},
	} {
		value, err := asn1.MarshalWithParams(e.value, "utf8")
		a.must(err)
		template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: e.id, Value: value})
	}
	cert := a.issue(template, key)
	if !job.Unlogged {
		// The log promises over the certificate without its promise (RFC 6962).
		template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: oidPromises, Value: a.promise(cert.RawTBSCertificate)})
		cert = a.issue(template, key)
	}
	return cert, key
}

func (a *Authority) issue(template *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, a.issuer, key.Public(), a.issuerKey)
	a.must(err)
	cert, err := x509.ParseCertificate(der)
	a.must(err)
	return cert
}

// promise is the certificate log's signed timestamp, as the extension holds it.
func (a *Authority) promise(precertificate []byte) []byte {
	a.t.Helper()
	sct := ct.SignedCertificateTimestamp{SCTVersion: ct.V1, Timestamp: uint64(time.Now().UnixMilli())}
	copy(sct.LogID.KeyID[:], a.keyID(a.certificateLog.Public()))
	input, err := ct.SerializeSCTSignatureInput(sct, ct.LogEntry{Leaf: ct.MerkleTreeLeaf{
		Version: ct.V1, LeafType: ct.TimestampedEntryLeafType,
		TimestampedEntry: &ct.TimestampedEntry{
			Timestamp: sct.Timestamp, EntryType: ct.PrecertLogEntryType,
			PrecertEntry: &ct.PreCert{IssuerKeyHash: sha256.Sum256(a.issuer.RawSubjectPublicKeyInfo), TBSCertificate: precertificate},
		},
	}})
	a.must(err)
	signature, err := cttls.CreateSignature(*a.certificateLog, cttls.SHA256, input)
	a.must(err)
	sct.Signature = ct.DigitallySigned(signature)
	list, err := x509util.MarshalSCTsIntoSCTList([]*ct.SignedCertificateTimestamp{&sct})
	a.must(err)
	raw, err := cttls.Marshal(*list)
	a.must(err)
	value, err := asn1.Marshal(raw)
	a.must(err)
	return value
}
