// Command manager is the platform lane operator.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap/zapcore"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/pytorch/platform-lane-operator/controllers"
	"github.com/pytorch/platform-lane-operator/controllers/operatorconfig"
	"github.com/pytorch/platform-lane-operator/controllers/probe"
	"github.com/pytorch/platform-lane-operator/controllers/upstream"
)

// version is stamped at build time.
var version = "devel"

// options are the settings of the process itself; everything about lanes is in
// the configuration file.
type options struct {
	config                 string
	metricsAddress         string
	metricsSecure          bool
	probeAddress           string
	leaderElect            bool
	leaderElectionInterval time.Duration
	leaderElectionSpace    string
	showVersion            bool
	zap                    zap.Options
}

func parse(args []string) (options, error) {
	o := options{zap: zap.Options{TimeEncoder: zapcore.ISO8601TimeEncoder}}
	flags := flag.NewFlagSet("manager", flag.ContinueOnError)
	flags.StringVar(&o.config, "config", "", "the operator's configuration file (required)")
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", ":8443", "where metrics are served; 0 for nowhere")
	flags.BoolVar(&o.metricsSecure, "metrics-secure", true, "serve metrics over HTTPS, to those whom the API server allows only")
	flags.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "where /healthz and /readyz are served; 0 for nowhere")
	flags.BoolVar(&o.leaderElect, "leader-elect", true, "work only while holding the lease, so that replicas do not work twice")
	flags.DurationVar(&o.leaderElectionInterval, "leader-election-lease", 15*time.Second, "how long a lease is good for without being renewed")
	flags.StringVar(&o.leaderElectionSpace, "leader-election-namespace", "", "the namespace of the lease; that of the pod if left out")
	flags.BoolVar(&o.showVersion, "version", false, "print the version and exit")
	if f := flag.Lookup("kubeconfig"); f != nil { // Registered by controller-runtime.
		flags.Var(f.Value, f.Name, f.Usage)
	}
	o.zap.BindFlags(flags)
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q; see --help", flags.Arg(0))
	}
	if o.config == "" && !o.showVersion {
		return o, errors.New("--config is missing; give the operator's configuration file")
	}
	return o, nil
}

func main() {
	o, err := parse(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(2)
	case o.showVersion:
		fmt.Println(version)
		return
	}
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&o.zap)))
	if err := run(ctrl.SetupSignalHandler(), o); err != nil {
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(1)
	}
}

// run starts everything and ends with the context.
func run(ctx context.Context, o options) error {
	cfg, err := operatorconfig.Load(o.config)
	if err != nil {
		return err
	}
	rest, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the API server: %w; pass --kubeconfig outside a cluster", err)
	}
	rest.UserAgent = "platform-lane-operator/" + version
	rest.QPS, rest.Burst = 100, 200
	scheme, err := controllers.Scheme()
	if err != nil {
		return err
	}
	mgr, err := ctrl.NewManager(rest, o.manager(manager.Options{Scheme: scheme}))
	if err != nil {
		return fmt.Errorf("set up the manager: %w", err)
	}
	engine, err := newEngine(ctx, cfg)
	if err != nil {
		return err
	}
	source, err := newEvents(ctx, cfg)
	if err != nil {
		return err
	}
	accessKeys, err := newAccessKeys(ctx, cfg)
	if err != nil {
		return err
	}
	// Not the cached client: nothing is cached before the manager starts.
	reader, err := client.New(rest, client.Options{Scheme: scheme})
	if err != nil {
		return err
	}
	clusterID, err := controllers.ClusterID(ctx, reader, cfg.ClusterID)
	if err != nil {
		return err
	}
	outside := controllers.Outside{Engine: engine, Events: source, AccessKeys: accessKeys, Prober: probe.New(cfg.Limits.ProbeTimeout()), Metrics: metrics.Registry}
	outside.Upstream = upstream.New(upstream.Options{IndexURLs: cfg.DependencyIndexURLs, PageBytes: cfg.Limits.DependencyPageBytes})
	if err := controllers.Setup(mgr, cfg, clusterID, outside); err != nil {
		return fmt.Errorf("register the controllers: %w", err)
	}
	for name, add := range map[string]func(string, healthz.Checker) error{"healthz": mgr.AddHealthzCheck, "readyz": mgr.AddReadyzCheck} {
		if err := add(name, healthz.Ping); err != nil {
			return err
		}
	}
	ctrl.Log.Info("starting", "version", version, "bucket", cfg.Storage.Bucket, "cluster", clusterID)
	return mgr.Start(ctx)
}

// manager completes the options of the controller manager.
func (o options) manager(m manager.Options) manager.Options {
	m.HealthProbeBindAddress = o.probeAddress
	m.Metrics = metricsserver.Options{
		BindAddress: o.metricsAddress, SecureServing: o.metricsSecure,
		// HTTP/2 has had too many denial-of-service holes for a metrics port.
		TLSOpts: []func(*tls.Config){func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }},
	}
	if o.metricsSecure {
		m.Metrics.FilterProvider = filters.WithAuthenticationAndAuthorization
	}
	m.LeaderElection, m.LeaderElectionID = o.leaderElect, "platform-lane-operator.distribution.pytorch.org"
	m.LeaderElectionNamespace = o.leaderElectionSpace
	m.LeaderElectionReleaseOnCancel = true
	lease := o.leaderElectionInterval
	renew, retry := lease*2/3, lease/8
	m.LeaseDuration, m.RenewDeadline, m.RetryPeriod = &lease, &renew, &retry
	return m
}
