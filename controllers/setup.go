// Package controllers lists everything that the operator runs.
package controllers

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/accesskey"
	"github.com/pytorch/platform-lane-operator/controllers/ackrole"
	"github.com/pytorch/platform-lane-operator/controllers/events"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/operatorconfig"
	"github.com/pytorch/platform-lane-operator/controllers/platformlane"
	"github.com/pytorch/platform-lane-operator/controllers/probe"
	"github.com/pytorch/platform-lane-operator/controllers/upstream"
	"github.com/pytorch/platform-lane-operator/controllers/yank"
)

// Scheme knows every kind that the operator reads or writes.
func Scheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme, ackrole.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	return scheme, nil
}

// Outside is what the operator talks to beyond the API server.
type Outside struct {
	Engine *index.Engine
	// Events is nil where there is no queue.
	Events events.Source
	Prober *probe.Prober
	// Upstream reads the pages of dependencies; nil if no lane may have any.
	Upstream *upstream.Client
	// AccessKeys is nil where the configuration disables access keys.
	AccessKeys accesskey.Users
	// Metrics takes what the controllers count; nil for nobody.
	Metrics prometheus.Registerer
}

// wakeBuffer is how many wake-ups may wait for a controller's queue.
const wakeBuffer = 1024

// The manager asks the API server who may read its metrics.
// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create

// Setup registers the controllers with a manager:
//
//   - platformlane: claim, credentials, status of lanes;
//   - laneindex: the index of lanes;
//   - yank: Yanks;
//   - the health watch, which looks at the stores for all lanes;
//   - the upstreams, which ask other indexes about the lanes' dependencies;
//   - the event pump, which wakes laneindex when the bucket changes.
func Setup(mgr ctrl.Manager, cfg *operatorconfig.Config, clusterID string, out Outside) error {
	lanes, indexes, yanks := make(chan event.GenericEvent, wakeBuffer), make(chan event.GenericEvent, wakeBuffer), make(chan event.GenericEvent, wakeBuffer)
	recorder := mgr.GetEventRecorder("platform-lane-operator")
	wakeLane := func(to chan<- event.GenericEvent) func(*v1alpha1.PlatformLane) {
		return func(lane *v1alpha1.PlatformLane) { to <- event.GenericEvent{Object: lane} }
	}

	health := &platformlane.Health{Engine: out.Engine, Client: mgr.GetClient(), Wake: lanes}
	lane := &platformlane.Reconciler{
		Client: mgr.GetClient(), Roles: ackrole.New(mgr.GetClient(), mgr.GetAPIReader(), clock.RealClock{}),
		Engine: out.Engine, Recorder: recorder, Now: time.Now,
		AccessKeys: platformlane.AccessKeys{Users: out.AccessKeys, Live: mgr.GetAPIReader(), Region: cfg.AWS.Region},
		Access:     cfg.Access(), ClusterID: clusterID, PublicBaseURL: cfg.Storage.PublicBaseURLs[0],
		ReservedPlatforms: cfg.ReservedPlatforms, Wake: lanes, Health: health,
	}
	indexer := &platformlane.Indexer{
		Client: mgr.GetClient(), Engine: out.Engine, Poll: cfg.Limits.Poll(), AtOnce: cfg.Limits.LanesAtOnce,
		RulesOf: func(ctx context.Context, lane *v1alpha1.PlatformLane) ([]index.Rule, error) {
			return yank.RulesOf(ctx, mgr.GetClient(), lane, time.Now())
		},
		Wake: indexes, Synced: wakeLane(lanes), FilesChanged: yanksOf(mgr.GetClient(), yanks),
	}
	if out.Upstream != nil {
		indexer.Upstreams = platformlane.NewUpstreams(out.Upstream, cfg.Limits.DependencyRefresh(), time.Now, wakeLane(indexes))
		if err := mgr.Add(indexer.Upstreams); err != nil {
			return err
		}
	}
	platformlane.Connect(lane, indexer)
	yanker := &yank.Reconciler{
		Client: mgr.GetClient(), Engine: out.Engine, Prober: out.Prober, Recorder: recorder, Now: time.Now,
		AtOnce: cfg.Limits.YanksAtOnce, Wake: yanks, PublishedFor: wakeLane(indexes),
	}
	for _, register := range []func(ctrl.Manager) error{lane.SetupWithManager, indexer.SetupWithManager, yanker.SetupWithManager} {
		if err := register(mgr); err != nil {
			return err
		}
	}
	if out.Metrics != nil {
		if err := out.Metrics.Register(indexer.Collector()); err != nil {
			return err
		}
	}
	for _, runs := range []manager.Runnable{health, out.Engine} {
		if err := mgr.Add(runs); err != nil {
			return err
		}
	}
	if out.Events == nil {
		return nil
	}
	return mgr.Add(&platformlane.EventPump{Source: out.Events, Client: mgr.GetClient(), Bucket: cfg.Storage.Bucket, Wake: indexes})
}

// yanksOf wakes the Yanks of a lane whose files changed.
func yanksOf(c client.Reader, to chan<- event.GenericEvent) func(context.Context, *v1alpha1.PlatformLane) {
	return func(ctx context.Context, lane *v1alpha1.PlatformLane) {
		var list v1alpha1.YankList
		if err := c.List(ctx, &list, client.InNamespace(lane.Namespace)); err != nil {
			log.FromContext(ctx).Error(err, "wake the yanks of a lane; they look again by themselves", "lane", client.ObjectKeyFromObject(lane))
			return
		}
		for i := range list.Items {
			if list.Items[i].Spec.LaneRef.Name == lane.Name {
				to <- event.GenericEvent{Object: &list.Items[i]}
			}
		}
	}
}

// ClusterID is the configured one, or the UID of the kube-system namespace,
// which lives as long as the cluster.
func ClusterID(ctx context.Context, reader client.Reader, configured string) (string, error) {
	if configured != "" {
		return configured, nil
	}
	ns := &corev1.Namespace{}
	if err := reader.Get(ctx, client.ObjectKey{Name: "kube-system"}, ns); err != nil {
		return "", fmt.Errorf("read the kube-system namespace to tell this cluster from others: %w; or set clusterID in the configuration", err)
	}
	return string(ns.UID), nil
}
