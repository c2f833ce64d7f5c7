package platformlane

import (
	"context"
	"errors"
	"path"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/log"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/events"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
)

// pumpPause is how long the pump waits after the queue failed. Polling goes on
// meanwhile: events only make the index faster.
const pumpPause = 5 * time.Second

// EventPump turns changes in the bucket into work for the Indexer.
type EventPump struct {
	Source events.Source
	Client client.Reader
	Bucket string
	// Wake takes the lanes whose files changed.
	Wake chan<- event.GenericEvent
}

// NeedLeaderElection makes the pump run beside the reconcilers, in one replica.
func (p *EventPump) NeedLeaderElection() bool { return true }

// Start receives until the context ends.
func (p *EventPump) Start(ctx context.Context) error {
	logger := log.FromContext(ctx).WithName("events")
	for ctx.Err() == nil {
		batch, err := p.Source.Receive(ctx)
		if err != nil && !errors.Is(err, context.Canceled) {
			logger.Error(err, "the event queue failed; lanes are polled meanwhile")
			select {
			case <-ctx.Done():
			case <-time.After(pumpPause):
			}
			continue
		}
		p.handle(ctx, batch)
	}
	return nil
}

// handle wakes each lane that a batch touches once, and then acknowledges the
// batch: a crash in between delivers it again.
func (p *EventPump) handle(ctx context.Context, batch []events.Notification) {
	logger := log.FromContext(ctx).WithName("events")
	platforms := map[string]bool{}
	for _, n := range batch {
		for _, change := range n.Changes {
			platform, _, rest, ok := layout.LaneOf(change.Key)
			if ok && change.Bucket == p.Bucket && !ownWork(rest) {
				platforms[platform] = true
			}
		}
	}
	for platform := range platforms {
		var lanes v1alpha1.PlatformLaneList
		if err := p.Client.List(ctx, &lanes, client.MatchingFields{platformIndex: platform}); err != nil {
			logger.Error(err, "look up the lane of an event", "platform", platform)
			return // Not acknowledged: it comes again.
		}
		for i := range lanes.Items {
			select {
			case p.Wake <- event.GenericEvent{Object: &lanes.Items[i]}:
			case <-ctx.Done():
				return
			}
		}
	}
	for _, n := range batch {
		if err := n.Ack(ctx); err != nil {
			logger.Error(err, "acknowledge an event; it will come again", "id", n.ID)
		}
	}
}

// ownWork is true for what the engine writes itself: pages and METADATA files.
// Should somebody else have written them, the next poll sees it.
func ownWork(rest string) bool {
	name := path.Base(rest)
	return name == layout.HTMLPage || name == layout.JSONPage || name == layout.FileName(layout.RemovalsKey("x")) || path.Ext(name) == layout.MetadataSuffix
}
