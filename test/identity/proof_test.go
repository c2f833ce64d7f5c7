package identity

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pytorch/platform-lane-operator/controllers/access"
)

const (
	compared      = 3_000
	trespasses    = 10_000
	legitimateOne = 1_000
)

// allKinds are all that the store offers.
var allKinds = slices.Concat(uploading, changing, reshaping)

// Two evaluators that know nothing of us and a table that knows nothing of our
// documents judge the same requests: versitygw, asked over S3 with real sessions,
// and the simulator, asked what AWS documents about each call.
func TestEvaluatorsAgreeWithTheTable(t *testing.T) {
	r := newRandom(t)
	fleet, file := theFleet(t), &names{r: r, n: 1000}
	attempts := make([]attempt, compared)
	for i := range attempts {
		attempts[i] = anything(r, file, one(r, fleet...), fleet)
	}
	started := time.Now()
	try(t, attempts)
	byStore := time.Since(started)
	second := simulate(t, startSimulator(t), attempts)
	t.Logf("judged by the store in %s, by the simulator in %s", byStore.Round(time.Millisecond), (time.Since(started) - byStore).Round(time.Millisecond))
	counts := tally{}
	for i, a := range attempts {
		counts.add(a.kind, string(a.want))
		if a.granted() != second[i] && a.want != harmless {
			t.Errorf("%s: %s: the store says %q, the simulator allows it: %t", a.by.lane.Name, a, a.code, second[i])
			continue
		}
		if (a.want == allowed || a.want == refused) && a.granted() != (a.want == allowed) {
			t.Errorf("%s: %s: %q, and the table says %s", a.by.lane.Name, a, a.code, a.want)
		}
	}
	counts.log(t)
	counts.demand(t, string(allowed), 150)
	counts.demand(t, string(refused), 300)
}

// anything is any request by a lane.
func anything(r *rand.Rand, file *names, by *member, fleet []*member) attempt {
	other := one(r, fleet...)
	to := target{
		bucket: stack.Bucket, source: one(r, by.published, other.published, "_lanes/"+other.lane.Name+"/claim.json"),
		upload: "none", version: "none",
	}
	switch r.IntN(5) {
	case 0, 1:
		to.key = file.proper(by.lane.Spec)
	case 2:
		to.key = file.proper(other.lane.Spec)
	default:
		to.key = file.twisted(by.lane.Spec, other.lane.Spec.Platform)
	}
	if r.IntN(20) == 0 {
		to.bucket = one(r, stack.MirrorBucket, stack.UnversionedBucket)
	}
	kinds := uploading
	switch r.IntN(6) {
	case 0:
		kinds = changing
	case 1:
		kinds = slices.Concat(reshaping, notInStore)
	}
	return attempt{by: by, request: one(r, kinds...).request(by.table, to)}
}

func isNotInStore(name string) bool {
	return slices.ContainsFunc(notInStore, func(k kind) bool { return k.name == name })
}

// simulate is the simulator's opinion on attempts.
func simulate(t *testing.T, s *simulator, attempts []attempt) []bool {
	t.Helper()
	public, err := root().GetBucketPolicy(t.Context(), &s3.GetBucketPolicyInput{Bucket: &stack.Bucket})
	if err != nil {
		t.Fatal(err)
	}
	bucketPolicy := s.keep("resource", *public.Policy)
	var questions []question
	var asker []int
	for i, a := range attempts {
		document := s.keep("identity", a.by.role.InlinePolicy.Document)
		for _, ask := range a.actions {
			keys := maps.Clone(ask.context)
			keys["aws:TokenIssueTime"] = a.by.issued.UTC().Format(time.RFC3339)
			keys["aws:PrincipalTag/"+access.TagLane] = a.by.lane.Spec.Platform
			questions = append(questions, question{
				Identity: document, Resource: bucketPolicy, Action: ask.name, ARN: ask.arn, Context: keys,
				Principal: "arn:aws:sts::" + stack.AccountID + ":assumed-role/" + a.by.role.Name + "/job",
			})
			asker = append(asker, i)
		}
	}
	out := slices.Repeat([]bool{true}, len(attempts))
	for j, yes := range s.decide(questions) {
		out[asker[j]] = out[asker[j]] && yes
	}
	return out
}

// No lane gets anywhere with 10,000 requests of every kind at what is not its
// own, and nothing in the buckets has changed afterwards; each gets everywhere with
// 1,000 at what is.
func TestLanesKeepToThemselves(t *testing.T) {
	r := newRandom(t)
	fleet, file := theFleet(t), &names{r: r, n: 5000}
	active := activeOnes(fleet)

	before := contents(t)
	attempts := make([]attempt, trespasses)
	for i := range attempts {
		attempts[i] = trespass(r, file, allKinds[i%len(allKinds)], active, fleet)
	}
	started := time.Now()
	try(t, attempts)
	t.Logf("%d requests at what belongs to others in %s", len(attempts), time.Since(started).Round(time.Millisecond))
	counts := tally{}
	for _, a := range attempts {
		counts.add(a.kind, a.code)
		if a.code != denied {
			t.Errorf("%s: %s: %q", a.by.lane.Name, a, a.code)
		}
	}
	counts.log(t)
	if after := contents(t); !maps.Equal(before, after) {
		t.Errorf("the buckets have changed: %s", difference(before, after))
	}

	started = time.Now()
	counts = tally{}
	for sent := 0; sent < legitimateOne; sent += publish(t, r, file, one(r, active...), counts) {
	}
	t.Logf("legitimate ones in %s", time.Since(started).Round(time.Millisecond))
	counts.log(t)
}

// trespass is a request of a kind by one lane about what is another's, or
// everybody's.
func trespass(r *rand.Rand, file *names, k kind, active, fleet []*member) attempt {
	for {
		by, victim := one(r, active...), one(r, fleet...)
		if by == victim {
			continue
		}
		to := target{bucket: stack.Bucket, source: by.published, upload: victim.upload, version: victim.version}
		switch r.IntN(6) {
		case 0, 1:
			to.key = victim.published
		case 2:
			to.key = victim.uploading
		case 3:
			to.key = file.proper(victim.lane.Spec)
		case 4:
			to.key = file.twisted(victim.lane.Spec, by.lane.Spec.Platform)
		default:
			to.key = file.twisted(by.lane.Spec, victim.lane.Spec.Platform)
		}
		if r.IntN(20) == 0 {
			to.bucket = one(r, stack.MirrorBucket, stack.UnversionedBucket)
		}
		if to.key != "" && by.table.own(to.bucket, to.key) == refused {
			return attempt{by: by, request: k.request(by.table, to)}
		}
	}
}

// publish uploads a file as a job would, in one request or in parts, and returns
// how many requests that took. Each must succeed.
func publish(t *testing.T, r *rand.Rand, file *names, m *member, counts tally) int {
	t.Helper()
	key, ctx, bucket := file.proper(m.lane.Spec), t.Context(), &stack.Bucket
	sent := 0
	must := func(kind string, err error) {
		t.Helper()
		sent++
		counts.add(kind, code(err))
		if err != nil {
			t.Fatalf("%s: %s %s: %v", m.lane.Name, kind, key, err)
		}
	}
	if r.IntN(4) > 0 {
		_, err := m.session.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: strings.NewReader(key), IfNoneMatch: aws.String("*")})
		must("PutObject", err)
		return sent
	}
	begun, err := m.session.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: bucket, Key: &key})
	must("CreateMultipartUpload", err)
	part, err := m.session.UploadPart(ctx, &s3.UploadPartInput{Bucket: bucket, Key: &key, UploadId: begun.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader(key)})
	must("UploadPart", err)
	_, err = m.session.ListParts(ctx, &s3.ListPartsInput{Bucket: bucket, Key: &key, UploadId: begun.UploadId})
	must("ListParts", err)
	if r.IntN(4) == 0 {
		_, err = m.session.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: bucket, Key: &key, UploadId: begun.UploadId})
		must("AbortMultipartUpload", err)
		return sent
	}
	must("CompleteMultipartUpload", complete(ctx, m.session, target{bucket: *bucket, key: key, upload: *begun.UploadId}, *part.ETag, aws.String("*")))
	return sent
}

// A proof that cannot fail proves nothing: documents that were widened a little are
// found out by the same requests, by both evaluators.
func TestWidenedDocumentsAreFoundOut(t *testing.T) {
	r := newRandom(t)
	fleet, file := theFleet(t), &names{r: r, n: 9000}
	active, s := activeOnes(fleet), startSimulator(t)
	control := iam.New(iam.Options{
		Region: stack.Region, BaseEndpoint: aws.String(stack.IAMEndpoint),
		Credentials: credentials.NewStaticCredentialsProvider(stack.RootAccessKeyID, stack.RootSecretAccessKey, ""),
	})
	for name, widen := range map[string]func(m *member, document string) string{
		"a folder that ends in a wildcard": func(m *member, d string) string {
			return strings.ReplaceAll(d, "/"+m.lane.Spec.Platform+"/", "/"+m.lane.Spec.Platform+"*/")
		},
		"any folder": func(m *member, d string) string {
			return strings.ReplaceAll(d, "/"+m.lane.Spec.Platform+"/", "/*/")
		},
		"any name in any folder": func(_ *member, d string) string {
			return strings.ReplaceAll(strings.ReplaceAll(d, `"NotResource":`, `"Resource":`), `"Effect":"Deny","Action":["s3:Abort`, `"Effect":"Allow","Action":["s3:Abort`)
		},
		"deleting": func(_ *member, d string) string {
			return strings.ReplaceAll(d, `"s3:AbortMultipartUpload"`, `"s3:AbortMultipartUpload","s3:DeleteObject"`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var attempts []attempt
			for _, m := range active[:10] {
				wider := *m
				wider.role.InlinePolicy.Document = widen(m, m.role.InlinePolicy.Document)
				if wider.role.InlinePolicy.Document == m.role.InlinePolicy.Document {
					t.Fatal("nothing was widened")
				}
				put := func(document string) {
					t.Helper()
					if _, err := control.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: &m.role.Name, PolicyName: &m.role.InlinePolicy.Name, PolicyDocument: &document}); err != nil {
						t.Fatal(err)
					}
				}
				put(wider.role.InlinePolicy.Document)
				defer put(m.role.InlinePolicy.Document)
				for range 30 {
					attempts = append(attempts, anything(r, file, &wider, fleet))
				}
				p := m.lane.Spec.Platform
				near := target{bucket: stack.Bucket, key: strings.Replace(file.proper(m.lane.Spec), "/"+p+"/", "/"+p+"x/", 1)}
				attempts = append(attempts, attempt{by: &wider, request: uploading[0].request(m.table, near)})
				for _, k := range changing {
					own := target{bucket: stack.Bucket, key: m.published, version: m.version, upload: "none"}
					attempts = append(attempts, attempt{by: &wider, request: k.request(m.table, own)})
				}
			}
			try(t, attempts)
			second := simulate(t, s, attempts)
			byStore, bySimulator := 0, 0
			for i, a := range attempts {
				if a.want == refused && a.granted() {
					byStore++
				}
				if a.want == refused && second[i] {
					bySimulator++
				}
			}
			t.Logf("%d requests too many allowed by the store, %d by the simulator, of %d", byStore, bySimulator, len(attempts))
			if byStore == 0 || bySimulator == 0 {
				t.Error("not found out")
			}
		})
	}
}

// tally counts what came of requests, by kind.
type tally map[string]map[string]int

func (c tally) add(kind, what string) {
	if what == "" {
		what = "done"
	}
	if c[kind] == nil {
		c[kind] = map[string]int{}
	}
	c[kind][what]++
}

func (c tally) log(t *testing.T) {
	t.Helper()
	var b strings.Builder
	sum := 0
	for _, kind := range slices.Sorted(maps.Keys(c)) {
		fmt.Fprintf(&b, "\n  %-45s", kind)
		for _, what := range slices.Sorted(maps.Keys(c[kind])) {
			fmt.Fprintf(&b, " %5d %s", c[kind][what], what)
			sum += c[kind][what]
		}
	}
	t.Logf("%d requests of %d kinds:%s", sum, len(c), b.String())
}

// demand fails unless something came often enough.
func (c tally) demand(t *testing.T, what string, least int) {
	t.Helper()
	n := 0
	for _, whats := range c {
		n += whats[what]
	}
	if n < least {
		t.Errorf("only %d requests were %s, want %d at least: the generator is no good", n, what, least)
	}
}

// difference is a few of the entries that differ.
func difference(before, after map[string]string) string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(after)) {
		if old, ok := before[key]; !ok || old != after[key] {
			out = append(out, fmt.Sprintf("%s is %q, was %q", key, after[key], old))
		}
	}
	for key := range before {
		if _, ok := after[key]; !ok {
			out = append(out, key+" is gone")
		}
	}
	return strings.Join(out[:min(len(out), 10)], "; ")
}
