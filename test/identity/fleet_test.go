package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/access"
	"github.com/pytorch/platform-lane-operator/controllers/ackrole"
)

// atOnce is how many requests the tests have under way.
const atOnce = 16

// member is a generated lane whose role IAM holds, with a session of it.
type member struct {
	*vendor
	role    access.Role
	table   table
	session *s3.Client
	issued  time.Time
	// published is a file of the lane, with its version; upload an unfinished
	// multipart upload, and uploading what it is for.
	published, version, uploading, upload string
}

// fleetSize is how many lanes the tests of generated requests share.
const fleetSize = 36

var fleet struct {
	sync.Once

	members []*member
}

// theFleet generates lanes, has ACK make their roles, and opens a session of each
// with a token that its own publisher would get; once for all tests.
func theFleet(t *testing.T) []*member {
	t.Helper()
	fleet.Do(func() {
		r, started := newRandom(t), time.Now()
		var members []*member
		for i, platform := range platforms(r, fleetSize) {
			v := newVendor(t, platform)
			spec := generateLane(r, platform, int64(10_000+10*i)).Spec
			v.lane.Spec, v.job = spec, jobOf(r, spec.Publishers[0].GitHubActions)
			role, err := access.Render(v.lane, settings(), nil)
			if role.Name == "" {
				t.Fatalf("%s: %v", platform, err) // Publishers of other issuers may be left out, and are.
			}
			members = append(members, &member{vendor: v, role: role, table: table{spec, stack.Bucket}})
		}
		syncAll(t, members)
		file := &names{r: r}
		for _, m := range members {
			m.open(file)
		}
		t.Logf("%d lanes with sessions after %s", fleetSize, time.Since(started).Round(time.Millisecond))
		fleet.members = members
	})
	if fleet.members == nil {
		t.Fatal("there are no lanes: see the test that was to make them")
	}
	for _, m := range fleet.members {
		m.t = t
	}
	return fleet.members
}

// activeOnes are the lanes that may publish.
func activeOnes(fleet []*member) []*member {
	return slices.DeleteFunc(slices.Clone(fleet), func(m *member) bool { return m.lane.Spec.Access == v1alpha1.AccessSuspended })
}

// syncAll applies the roles until all are reported as synced.
func syncAll(t *testing.T, fleet []*member) {
	t.Helper()
	waiting := slices.Clone(fleet)
	for deadline := time.Now().Add(2 * time.Minute); len(waiting) > 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d roles are not synced in time, one of them %s", len(waiting), len(fleet), waiting[0].role.Name)
		}
		waiting = slices.DeleteFunc(waiting, func(m *member) bool {
			o, err := m.roles.Apply(t.Context(), m.lane, m.role)
			if err != nil {
				t.Fatal(err)
			}
			return o.State == ackrole.Synced
		})
	}
}

// open gets a session and, unless the lane is suspended, publishes a file and
// begins another one.
func (m *member) open(file *names) {
	m.t.Helper()
	var err error
	if m.session, err = m.assume(m.job); err != nil {
		m.t.Fatalf("%s: its own job: %v", m.lane.Name, err)
	}
	m.issued = time.Now()
	m.published, m.uploading, m.version, m.upload = file.proper(m.lane.Spec), file.proper(m.lane.Spec), "none", "none"
	if m.lane.Spec.Access == v1alpha1.AccessSuspended {
		return
	}
	ctx := m.t.Context()
	put, err := m.session.PutObject(ctx, &s3.PutObjectInput{Bucket: &stack.Bucket, Key: &m.published, Body: strings.NewReader("published"), IfNoneMatch: aws.String("*")})
	if err != nil {
		m.t.Fatalf("%s publishes %s: %v", m.lane.Name, m.published, err)
	}
	begun, err := m.session.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &stack.Bucket, Key: &m.uploading})
	if err != nil {
		m.t.Fatalf("%s begins %s: %v", m.lane.Name, m.uploading, err)
	}
	m.version, m.upload = aws.ToString(put.VersionId), *begun.UploadId
}

// attempt is a request by a member, and what S3 answered: an error code or nothing.
type attempt struct {
	by *member
	request
	code string
}

// granted says whether the permissions were there, whatever else was missing. What
// the store does not offer it lets nobody do.
func (a *attempt) granted() bool {
	return a.code != denied && (a.code != "NotImplemented" || !isNotInStore(a.kind))
}

// try makes all attempts, several at once.
func try(t *testing.T, attempts []attempt) {
	t.Helper()
	var wg sync.WaitGroup
	next := make(chan *attempt)
	for range atOnce {
		wg.Go(func() {
			for a := range next {
				a.code = outcome(t.Context(), a.send, a.by.session)
			}
		})
	}
	for i := range attempts {
		next <- &attempts[i]
	}
	close(next)
	wg.Wait()
}

// outcome tries again when the connection or the gateway failed: that is no answer.
func outcome(ctx context.Context, send func(context.Context, *s3.Client) error, c *s3.Client) string {
	var got string
	for range 3 {
		err := send(ctx, c)
		if got = code(err); err == nil || errors.Is(err, ctx.Err()) || got != err.Error() && got != "InternalError" && got != "ServiceUnavailable" {
			return got
		}
	}
	return got
}

// root is the account's own client for S3.
func root() *s3.Client {
	return s3.New(s3.Options{
		Region: stack.Region, BaseEndpoint: aws.String(stack.S3Endpoint), UsePathStyle: true, HTTPClient: web,
		Credentials: credentials.NewStaticCredentialsProvider(stack.RootAccessKeyID, stack.RootSecretAccessKey, ""),
	})
}

// contents are all versions of all objects, unfinished uploads, and the bucket's
// own settings: everything that a write could change.
func contents(t *testing.T) map[string]string {
	t.Helper()
	out, c, ctx := map[string]string{}, root(), t.Context()
	for _, bucket := range []string{stack.Bucket, stack.MirrorBucket, stack.UnversionedBucket} {
		policy, err := c.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: &bucket})
		if err != nil {
			t.Fatal(err)
		}
		versioning, err := c.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &bucket})
		if err != nil {
			t.Fatal(err)
		}
		out[bucket] = *policy.Policy + string(versioning.Status)
		pages := s3.NewListObjectVersionsPaginator(c, &s3.ListObjectVersionsInput{Bucket: &bucket})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range page.Versions {
				out[fmt.Sprintf("%s/%s@%s", bucket, *v.Key, aws.ToString(v.VersionId))] = aws.ToString(v.ETag)
			}
			for _, d := range page.DeleteMarkers {
				out[fmt.Sprintf("%s/%s@%s", bucket, *d.Key, aws.ToString(d.VersionId))] = "deleted"
			}
		}
		uploads := s3.NewListMultipartUploadsPaginator(c, &s3.ListMultipartUploadsInput{Bucket: &bucket})
		for uploads.HasMorePages() {
			page, err := uploads.NextPage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range page.Uploads {
				out[fmt.Sprintf("%s/%s, upload %s", bucket, *u.Key, *u.UploadId)] = "unfinished"
			}
		}
	}
	return out
}
