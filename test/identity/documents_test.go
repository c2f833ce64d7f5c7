package identity

import (
	"encoding/json"
	"errors"
	"net/url"
	"testing"

	"github.com/pytorch/platform-lane-operator/controllers/access"
)

// Every document parses, is the same whenever it is made, fits into IAM's quotas,
// and comes out of ACK's URL decoding as it went in.
func TestDocumentsAreStable(t *testing.T) {
	r := newRandom(t)
	s := startSimulator(t)
	made := 0
	for i, platform := range platforms(r, 1000) {
		lane := generateLane(r, platform, int64(100+10*i))
		role, err := access.Render(lane, settings(), nil)
		var problems access.Problems
		if role.Name == "" || err != nil && !errors.As(err, &problems) {
			t.Fatalf("%s: %v", platform, err)
		}
		again, _ := access.Render(lane.DeepCopy(), settings(), nil)
		for kind, pair := range map[string][2]string{
			"identity": {role.InlinePolicy.Document, again.InlinePolicy.Document}, "trust": {role.Trust, again.Trust},
		} {
			document := pair[0]
			if document != pair[1] {
				t.Errorf("%s: the %s document differs when made again:\n%s\n%s", platform, kind, document, pair[1])
			}
			if decoded, err := url.QueryUnescape(document); err != nil || decoded != document {
				t.Errorf("%s: ACK's URL decoding turns the %s document into %q, %v", platform, kind, decoded, err)
			}
			if !json.Valid([]byte(document)) {
				t.Errorf("%s: the %s document is no JSON: %s", platform, kind, document)
			}
			if quota := map[string]int{"identity": access.DefaultInlinePolicyQuota, "trust": access.DefaultTrustPolicyQuota}[kind]; len(document) > quota {
				t.Errorf("%s: the %s document has %d characters, and IAM takes %d", platform, kind, len(document), quota)
			}
			if kind == "identity" {
				s.keep(kind, document) // Trust policies name conditions of an issuer on loopback.
			}
			made++
		}
	}
	t.Logf("%d documents", made)
}
