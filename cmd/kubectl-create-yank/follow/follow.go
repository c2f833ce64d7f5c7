package follow

import (
	"context"
	"errors"

	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/cmd/plugin"
)

// Follower follows Yanks.
type Follower struct {
	// Client reads and watches Yanks. Without the permission to watch, it reads
	// once a second.
	Client client.WithWatch
	// Progress is told of each state that was seen.
	Progress *Progress
}

// Follow reads the Yank again and again until its outcome is final or ctx ends,
// over any number of lost connections. It returns the outcome and the last
// state seen. The error is that of ctx, with the outcome Pending, or the API
// server's refusal to show the Yank.
func (f *Follower) Follow(ctx context.Context, created *v1alpha1.Yank) (Outcome, *v1alpha1.Yank, error) {
	outcome := Pending
	follower := plugin.Follower[*v1alpha1.Yank]{
		Client: f.Client, List: &v1alpha1.YankList{}, Warn: f.Progress.warn,
		See: func(y *v1alpha1.Yank) bool {
			f.Progress.see(y)
			outcome = Judge(y)
			return outcome != Pending
		},
	}
	last, err := follower.Follow(ctx, created)
	if errors.Is(err, plugin.ErrGone) {
		return Deleted, last, nil
	}
	return outcome, last, err
}
