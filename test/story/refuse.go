package story

import (
	"context"
	"errors"
	"reflect"

	"github.com/pytorch/platform-lane-operator/hack/sandbox"
	"github.com/pytorch/platform-lane-operator/hack/sandbox/job"
)

// denied is S3's refusal of a request that no policy allows.
const denied = "AccessDenied"

func (w *World) refusals() Chapter {
	spyreJob := func() *job.Session { return w.jobs[spyre.name] }
	bytes := current.bytes()
	upload := func(key string) func(context.Context) (string, error) {
		return func(ctx context.Context) (string, error) {
			return refusedBy(spyreJob().Put(ctx, key, bytes), denied)
		}
	}
	name := current.wheel.Filename()
	return Chapter{"The servers refuse everything else", []Step{
		{"writing below the other lane's prefix", upload("whl/rbln/" + name)},
		{"writing below the root whl/", upload("whl/" + name)},
		{"writing an index page", upload("whl/spyre/torch/index.html")},
		{"writing into the private folder", upload("_lanes/spyre/release/torch.json")},
		{"a file name without the lane's local version", upload("whl/spyre/torch-2.9.1-py3-none-any.whl")},
		{"another package than the lane's", upload("whl/spyre/evil-1.0+spyre-py3-none-any.whl")},
		{"overwriting a published wheel", w.overwrite},
		{"deleting its own wheel", func(ctx context.Context) (string, error) {
			return refusedBy(spyreJob().Delete(ctx, current.key()), denied)
		}},
		{"a token of another repository", w.stranger(func(c *sandbox.Claims) {
			c.Repository, c.RepositoryID = "mallory/torch-spyre", "666"
		})},
		{"a token of a recycled repository name (the name is right, the id is new)", w.stranger(func(c *sandbox.Claims) {
			c.RepositoryID = "666"
		})},
		{"a token of the right repository, but not through the upload workflow", w.stranger(func(c *sandbox.Claims) {
			c.JobWorkflowRef = c.Repository + "/.github/workflows/mine.yml@refs/heads/main"
		})},
		{"a token of a wrong branch", w.stranger(func(c *sandbox.Claims) {
			c.Ref = "refs/heads/feature"
		})},
	}}
}

// overwrite tries both ways: with and without saying that it must be new.
func (w *World) overwrite(ctx context.Context) (string, error) {
	session := w.jobs[spyre.name]
	if _, err := refusedBy(session.Put(ctx, current.key(), []byte("malware")), "PreconditionFailed"); err != nil {
		return "", err
	}
	return refusedBy(session.PutOver(ctx, current.key(), []byte("malware")), denied)
}

// stranger tries to assume spyre's role with a token that differs in one thing.
func (w *World) stranger(change func(*sandbox.Claims)) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		lane, err := w.lane(ctx, spyre)
		if err != nil {
			return "", err
		}
		claims := job.ClaimsOf(lane)
		change(&claims)
		if reflect.DeepEqual(claims, job.ClaimsOf(lane)) {
			return "", errors.New("the token is the right one: nothing is tested")
		}
		_, err = job.Assume(ctx, &w.Stack.Info, lane.Status.Role.ARN, claims)
		return refusedBy(err, denied)
	}
}
