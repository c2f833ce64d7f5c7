package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/account"
	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/calls"
	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/cdn"
	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/cloudfront"
	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/config"
	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/fault"
	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/iam"
	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/oidc"
	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/s3front"
	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/sqs"
	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/sts"
)

const (
	// invalidationDelay is how long CloudFront's side of an invalidation takes
	// unless a test says otherwise.
	invalidationDelay = 300 * time.Millisecond

	readHeaderTimeout = 10 * time.Second
	shutdownTimeout   = 3 * time.Second
)

func main() {
	path := flag.String("config", "", "the edge's configuration file (required)")
	flag.Parse()
	if err := run(*path); err != nil {
		fmt.Fprintln(os.Stderr, "edge:", err)
		os.Exit(1)
	}
}

func run(path string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c, err := config.Load(path)
	if err != nil {
		return err
	}
	if err := os.Chdir(c.DataDir); err != nil {
		return err
	}
	e, err := assemble(ctx, c)
	if err != nil {
		return err
	}
	return e.run(ctx)
}

// edge is everything that listens.
type edge struct {
	config    *config.Config
	iamServer *iam.Server
	listeners []listener
	ready     atomic.Bool
}

type listener struct {
	name, network, addr string
	handler             http.Handler
}

func assemble(ctx context.Context, c *config.Config) (*edge, error) {
	counter, faults := &calls.Counter{}, &fault.Board{}
	root := iam.Credentials{AccessKeyID: c.Root.AccessKeyID, SecretAccessKey: c.Root.SecretAccessKey}
	store, err := iam.OpenStore(filepath.Join(c.DataDir, "iam"))
	if err != nil {
		return nil, err
	}
	server, err := iam.NewServer(store, c)
	if err != nil {
		return nil, err
	}
	issuer, err := oidc.New("http://"+c.Listen.OIDC, filepath.Join(c.DataDir, "oidc-key.pem"))
	if err != nil {
		return nil, err
	}
	webIdentity := sts.New(issuer, store)
	if err := account.Identities(ctx, store, c, webIdentity.ProviderARN(), webIdentity.ProviderURL()); err != nil {
		return nil, err
	}
	gate := iam.NewGate(store, root)
	front := s3front.New(c.Gateway.S3, counter, faults)
	primary := cdn.New("cdn", origin(c, c.PrimaryBucket), cdn.DefaultLimits, counter, faults)
	if primary.Functions, err = cdn.LoadFunctions(c.Functions.ViewerRequest, c.Functions.ViewerResponse); err != nil {
		return nil, err
	}
	mirror := cdn.NewPassThrough("mirror", origin(c, c.MirrorBucket), counter, faults)
	invalidations := cloudfront.New(config.AccountID, c.DistributionID, invalidationDelay, primary, gate, counter, faults)
	queue := sqs.NewQueue()
	queueURL := "http://" + c.Listen.SQS + "/" + config.AccountID + "/" + c.QueueName
	queueARN := "arn:aws:sqs:" + c.Region + ":" + config.AccountID + ":" + c.QueueName

	e := &edge{config: c, iamServer: server}
	e.listeners = []listener{
		{"authorizer", "unix", c.Sockets.Authorization, iam.NewAuthorizer(store, root, c.Sockets.Evaluator, front)},
		{"iam", "tcp", c.Listen.IAM, iam.NewFront(store, gate, c.Sockets.IAM, webIdentity, counter, faults)},
		{"oidc", "tcp", c.Listen.OIDC, issuer.Handler()},
		{"s3", "tcp", c.Listen.S3, front},
		{"cdn", "tcp", c.Listen.CDN, primary},
		{"mirror", "tcp", c.Listen.Mirror, mirror},
		{"cloudfront", "tcp", c.Listen.CloudFront, invalidations.Handler()},
		{"sqs", "tcp", c.Listen.SQS, sqs.New(queue, queueURL, queueARN, gate, counter, faults)},
		{"events", "tcp", c.Listen.Events, sqs.NewWebhook(queue, c.PrimaryBucket, c.Region, faults)},
		{"debug", "tcp", c.Listen.Debug, e.debug(counter, faults, primary, invalidations)},
	}
	return e, nil
}

func origin(c *config.Config, bucket string) cdn.Origin {
	return cdn.Origin{Addr: c.Gateway.Website, Host: bucket + "." + c.Gateway.WebsiteDomain}
}

// debug is for tests: counts, faults, and whether the account is set up.
func (e *edge) debug(counter *calls.Counter, faults *fault.Board, cache *cdn.CDN, invalidations *cloudfront.API) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/debug/calls", counter)
	mux.Handle("/debug/faults/", faults)
	mux.HandleFunc("POST /debug/cloudfront", invalidations.ServeDebug)
	mux.HandleFunc("POST /debug/cdn/flush", func(w http.ResponseWriter, _ *http.Request) {
		cache.Invalidate([]string{"/*"})
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /debug/ready", func(w http.ResponseWriter, _ *http.Request) {
		if !e.ready.Load() {
			http.Error(w, "the account is not set up yet", http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintln(w, "ok")
	})
	return mux
}

func (e *edge) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, len(e.listeners)+2)
	go func() { failed <- e.iamServer.Run(ctx) }()
	servers := make([]*http.Server, 0, len(e.listeners))
	for _, l := range e.listeners {
		ln, err := l.listen()
		if err != nil {
			return fmt.Errorf("listen for %s: %w", l.name, err)
		}
		srv := &http.Server{Handler: l.handler, ReadHeaderTimeout: readHeaderTimeout}
		servers = append(servers, srv)
		go func() { failed <- srv.Serve(ln) }()
	}
	go func() {
		switch err := account.Buckets(ctx, e.config); {
		case err == nil:
			e.ready.Store(true)
		case ctx.Err() == nil:
			failed <- err
		}
	}()
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	stopCtx, stop := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer stop()
	for _, srv := range servers {
		if shutdownErr := srv.Shutdown(stopCtx); shutdownErr != nil {
			_ = srv.Close()
		}
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (l listener) listen() (net.Listener, error) {
	if l.network == "unix" {
		return iam.Listen(l.addr)
	}
	return net.Listen(l.network, l.addr)
}
