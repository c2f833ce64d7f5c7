package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/prometheus/client_golang/prometheus"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/pytorch/platform-lane-operator/controllers/accesskey"
	"github.com/pytorch/platform-lane-operator/controllers/accesskey/iam"
	"github.com/pytorch/platform-lane-operator/controllers/cdn"
	"github.com/pytorch/platform-lane-operator/controllers/cdn/cloudfront"
	"github.com/pytorch/platform-lane-operator/controllers/events"
	"github.com/pytorch/platform-lane-operator/controllers/events/sqs"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/metered"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/s3"
	"github.com/pytorch/platform-lane-operator/controllers/operatorconfig"
	"github.com/pytorch/platform-lane-operator/controllers/provenance"
)

// newEngine makes the index engine over the configured stores and CDN. It sends
// no request: a store that is down keeps nobody from starting.
func newEngine(ctx context.Context, cfg *operatorconfig.Config) (*index.Engine, error) {
	requests := metered.NewRequests()
	if err := metrics.Registry.Register(requests); err != nil {
		return nil, err
	}
	target := func(name string, store operatorconfig.Store) (index.Target, error) {
		opened, err := s3.New(ctx, s3.Config{
			Bucket: store.Bucket, Region: store.Region, Endpoint: store.Endpoint, SharedCredentialsFile: store.CredentialsFile,
		})
		if err != nil {
			return index.Target{}, fmt.Errorf("store %s: %w", name, err)
		}
		return index.Target{
			Name: name, Store: metered.New(opened, name, requests), BaseURLs: store.PublicBaseURLs, ObjectURL: objectURL(store),
		}, nil
	}
	primary, err := target("primary", cfg.Storage)
	if err != nil {
		return nil, err
	}
	var mirrors []index.Target
	for _, m := range cfg.Mirrors {
		mirror, err := target(m.Name, m.Store)
		if err != nil {
			return nil, err
		}
		mirrors = append(mirrors, mirror)
	}
	front, err := newCDN(ctx, cfg)
	if err != nil {
		return nil, err
	}
	engine := index.New(primary, mirrors, front, time.Now, index.Limits{
		MaxFileBytes: cfg.Limits.MaxFileBytes, FilesAtOnce: cfg.Limits.FilesAtOnce, RetentionPreview: cfg.Limits.RetentionPreview(),
	})
	return engine, trust(engine, cfg)
}

// maxTrustRoot bounds Sigstore's trusted_root.json, in bytes; it has about 10 KB.
const maxTrustRoot = 4 << 20

// trust hands the engine what attestations are verified against, if there is
// anything.
func trust(engine *index.Engine, cfg *operatorconfig.Config) error {
	name := cfg.Provenance.TrustedRootFile
	if name == "" {
		return nil
	}
	f, err := os.Open(name) //nolint:gosec // The operator's own configuration names it.
	if err != nil {
		return fmt.Errorf("provenance.trustedRootFile: %w", err)
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, maxTrustRoot))
	if err != nil {
		return fmt.Errorf("provenance.trustedRootFile: %w", err)
	}
	verifier, err := provenance.NewVerifier(raw)
	if err != nil {
		return fmt.Errorf("provenance.trustedRootFile %s: %w", name, err)
	}
	engine.VerifyAttestations(verifier, cfg.GitHubIssuer)
	return nil
}

// objectURL is where the store's own endpoint serves the bucket's objects: a
// yank asks there too, since a link to it may be anywhere.
func objectURL(store operatorconfig.Store) string {
	switch {
	case store.Endpoint != "":
		return strings.TrimRight(store.Endpoint, "/") + "/" + store.Bucket
	case strings.HasPrefix(store.Region, "cn-"):
		return fmt.Sprintf("https://s3.%s.amazonaws.com.cn/%s", store.Region, store.Bucket)
	default:
		return fmt.Sprintf("https://s3.%s.amazonaws.com/%s", store.Region, store.Bucket)
	}
}

// coalesceFor is how long an invalidation waits for others to join it.
const coalesceFor = 200 * time.Millisecond

func newCDN(ctx context.Context, cfg *operatorconfig.Config) (cdn.CDN, error) {
	if cfg.CDN.CloudFrontDistributionID == "" {
		return cdn.None{}, nil
	}
	loaded, err := load(ctx, cfg, cfg.CDN.CredentialsFile)
	if err != nil {
		return nil, err
	}
	front, err := cloudfront.New(loaded, cloudfront.Config{DistributionID: cfg.CDN.CloudFrontDistributionID, Endpoint: cfg.CDN.Endpoint})
	if err != nil {
		return nil, err
	}
	return cdn.NewCoalescer(front, coalesceFor), nil
}

// newEvents is nil where there is no queue.
func newEvents(ctx context.Context, cfg *operatorconfig.Config) (events.Source, error) {
	if cfg.Events.QueueURL == "" {
		return nil, nil
	}
	loaded, err := load(ctx, cfg, cfg.Events.CredentialsFile)
	if err != nil {
		return nil, err
	}
	poison := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "lane_events_poison_total", Help: "Messages of the event queue that could not be read and were removed.",
	})
	if err := metrics.Registry.Register(poison); err != nil {
		return nil, err
	}
	return sqs.New(loaded, sqs.Config{
		QueueURL: cfg.Events.QueueURL, Endpoint: cfg.Events.Endpoint,
		OnPoison: func(id string, err error) {
			poison.Inc()
			ctrl.Log.WithName("events").Error(err, "removed a message that cannot be read; the lanes are polled all the same", "id", id)
		},
	})
}

// newAccessKeys is nil where access keys are disabled.
func newAccessKeys(ctx context.Context, cfg *operatorconfig.Config) (accesskey.Users, error) {
	if cfg.AccessKeys.Mode != operatorconfig.AccessKeysEnabled {
		return nil, nil
	}
	loaded, err := load(ctx, cfg, cfg.AccessKeys.CredentialsFile)
	if err != nil {
		return nil, err
	}
	return iam.New(loaded, iam.Config{Endpoint: cfg.AccessKeys.Endpoint})
}

// load is AWS' configuration from the default chain, or with the credentials of
// a file.
func load(ctx context.Context, cfg *operatorconfig.Config, credentialsFile string) (aws.Config, error) {
	options := []func(*awsconfig.LoadOptions) error{awsconfig.WithRegion(cfg.AWS.Region)}
	if credentialsFile != "" {
		options = append(options, awsconfig.WithSharedCredentialsFiles([]string{credentialsFile}), awsconfig.WithSharedConfigProfile("default"))
	}
	loaded, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, fmt.Errorf("load the AWS configuration: %w", err)
	}
	return loaded, nil
}
