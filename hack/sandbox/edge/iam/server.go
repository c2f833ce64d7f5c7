package iam

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/versity/versitygw/iamapi"
	"github.com/versity/versitygw/iamapi/private"

	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/config"
)

const (
	maxConnections = 4096
	maxRequests    = 2048
	maxBodyBytes   = 1 << 20
)

// Server is versitygw's IAM: its public API and the private one that S3
// gateways ask, each on a unix socket of this process.
type Server struct {
	public     *iamapi.IAMApiServer
	evaluator  *private.PrivateAPI
	publicSock string
	evalSock   string
}

// NewServer prepares both APIs over one store.
func NewServer(store *Store, c *config.Config) (*Server, error) {
	root := iamapi.RootCredentials{Access: c.Root.AccessKeyID, Secret: c.Root.SecretAccessKey}
	public, err := iamapi.New(store, root,
		iamapi.WithQuiet(), iamapi.WithKeepAlive(), iamapi.WithOIDCThumbprintAutoFetchDisabled(),
		iamapi.WithConcurrencyLimiter(maxConnections, maxRequests))
	if err != nil {
		return nil, fmt.Errorf("prepare versitygw's IAM API: %w", err)
	}
	evaluator, err := private.New(store, root, private.WithPrivateQuiet(), private.WithPrivateServerVersion("sandbox"))
	if err != nil {
		return nil, fmt.Errorf("prepare versitygw's authorization API: %w", err)
	}
	return &Server{public: public, evaluator: evaluator, publicSock: c.Sockets.IAM, evalSock: c.Sockets.Evaluator}, nil
}

// Run serves until the context ends or one of the APIs fails.
func (s *Server) Run(ctx context.Context) error {
	for _, sock := range []string{s.publicSock, s.evalSock} {
		if err := prepareSocket(sock); err != nil {
			return err
		}
	}
	failed := make(chan error, 2)
	go func() { failed <- s.public.ServeMultiPort([]string{s.publicSock}) }()
	go func() { failed <- serveWithDefaults(s.evaluator.ServeMultiPort, []string{s.evalSock}) }()
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	_ = s.public.Shutdown()
	_ = s.evaluator.Shutdown()
	return err
}

// serveWithDefaults calls versitygw's Serve with the zero value of its TLS
// options: their type is internal to versitygw and cannot be named here.
func serveWithDefaults[O any](serve func([]string, O) error, addrs []string) error {
	var none O
	return serve(addrs, none)
}

// prepareSocket removes what an earlier process left behind.
func prepareSocket(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("remove the stale socket %s: %w", path, err)
	}
	return nil
}

// unixTransport sends every request to one unix socket, whatever its URL says.
func unixTransport(path string) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialWithPatience(ctx, path)
		},
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     30 * time.Second,
		DisableCompression:  true,
	}
}

// dialWithPatience waits a little for a socket that is about to be there: the
// APIs of this process start side by side.
func dialWithPatience(ctx context.Context, path string) (net.Conn, error) {
	deadline := time.Now().Add(3 * time.Second)
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
		if err == nil || time.Now().After(deadline) {
			return conn, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}
