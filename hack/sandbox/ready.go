package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// pollInterval is how often a starting part is asked whether it is ready.
const pollInterval = 50 * time.Millisecond

// RESTConfig is the administrator's client configuration.
func (s *Stack) RESTConfig() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", s.Kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS = -1 // no client-side throttling
	return config, nil
}

// InstallCRDs creates or updates the CustomResourceDefinitions in the folders and
// waits until the API server serves them.
func (s *Stack) InstallCRDs(_ context.Context, dirs ...string) error {
	config, err := s.RESTConfig()
	if err != nil {
		return err
	}
	_, err = envtest.InstallCRDs(config, envtest.CRDInstallOptions{
		Paths: dirs, ErrorIfPathMissing: true, MaxTime: 30 * time.Second, PollInterval: pollInterval,
	})
	if err != nil {
		return fmt.Errorf("install CRDs: %w", err)
	}
	return nil
}

// ackCRDs are the folders of ACK's CRDs in the module cache.
func ackCRDs(ctx context.Context) ([]string, error) {
	root, err := RepositoryRoot()
	if err != nil {
		return nil, err
	}
	side := filepath.Join(root, "hack", "sandbox", "build", "ack-iam-controller")
	pinned, err := pinnedTool(ctx, side)
	if err != nil {
		return nil, err
	}
	dir, err := moduleDir(ctx, side, pinned.module)
	if err != nil {
		return nil, fmt.Errorf("find ACK's CRDs: %w", err)
	}
	return []string{filepath.Join(dir, "config", "crd", "bases"), filepath.Join(dir, "config", "crd", "common", "bases")}, nil
}

// ready waits until the part answers, or reports why it ended. Parts that Spawn
// started are ready at once.
func (s *Stack) ready(ctx context.Context, name string) error {
	switch name {
	case Etcd:
		return s.poll(ctx, name, http.DefaultClient, s.settings.url("etcd")+"/health")
	case KubeAPIServer:
		config, err := s.RESTConfig()
		if err != nil {
			return err
		}
		client, err := rest.HTTPClientFor(config)
		if err != nil {
			return err
		}
		return s.poll(ctx, name, client, s.KubeAPIServer+"/readyz")
	case S3:
		return s.poll(ctx, name, http.DefaultClient, s.settings.url("versitygw")+"/_health")
	case Edge:
		return s.poll(ctx, name, http.DefaultClient, s.DebugEndpoint+"/debug/ready")
	case ACK:
		return s.poll(ctx, name, http.DefaultClient, s.settings.url("ack-health")+"/readyz")
	}
	return nil
}

// poll asks the URL until it answers 200.
func (s *Stack) poll(ctx context.Context, name string, client *http.Client, url string) error {
	return s.until(ctx, name, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 512))
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s: %s", url, resp.Status, text)
		}
		return nil
	})
}

func (s *Stack) dial(ctx context.Context, name, addr string) error {
	return s.until(ctx, name, func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
}

func (s *Stack) until(ctx context.Context, name string, check func(context.Context) error) error {
	p, err := s.process(name)
	if err != nil {
		return err
	}
	for {
		attempt, cancel := context.WithTimeout(ctx, 3*time.Second)
		err := check(attempt)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-p.done():
			return errors.Join(p.failure(), err)
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready (%w): %w; its log is %s", name, context.Cause(ctx), err, p.logPath)
		case <-time.After(pollInterval):
		}
	}
}
