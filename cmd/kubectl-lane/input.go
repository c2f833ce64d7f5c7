package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/ptr"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/cmd/kubectl-lane/manifest"
	"github.com/pytorch/platform-lane-operator/cmd/plugin"
	"github.com/pytorch/platform-lane-operator/controllers/operatorconfig"
)

// offlineFlags choose a namespace for manifests that name none; nothing of them
// reaches for a cluster.
func offlineFlags() *genericclioptions.ConfigFlags {
	return &genericclioptions.ConfigFlags{Namespace: ptr.To(""), KubeConfig: ptr.To(""), Context: ptr.To("")}
}

// files are the manifests and the configuration that a command is given.
type files struct {
	names             []string
	operatorConfig    string
	sessionsNotBefore string
}

func (f *files) addFlags(flags *pflag.FlagSet) {
	flags.StringArrayVarP(&f.names, "filename", "f", nil, "file with one or more lanes, or - for standard input; may be repeated")
	flags.StringVar(&f.operatorConfig, "config", "", "the operator's configuration file")
	flags.StringVar(&f.sessionsNotBefore, "sessions-not-before", "", "when access was last resumed, as in 2026-03-01T12:00:00Z; sessions from before stay dead (default: what the lane's status says)")
}

// settings reads the operator's configuration.
func (f *files) settings() (*operatorconfig.Config, error) {
	if f.operatorConfig == "" {
		return nil, errors.New("--config is required: the operator's configuration file (config/manager/operator.yaml, or the ConfigMap platform-lane-operator-config)")
	}
	return operatorconfig.Load(f.operatorConfig)
}

// lanes reads every manifest.
func (f *files) lanes(ctx context.Context, flags *genericclioptions.ConfigFlags, streams genericiooptions.IOStreams) ([]*v1alpha1.PlatformLane, error) {
	if len(f.names) == 0 {
		return nil, errors.New("name a manifest with -f, or - for standard input")
	}
	namespace, err := plugin.Namespace(flags)
	if err != nil {
		return nil, err
	}
	chosen := manifest.Namespace{Name: namespace, Enforced: *flags.Namespace != ""}
	var all []*v1alpha1.PlatformLane
	var invalid []error
	for _, name := range f.names {
		lanes, err := read(ctx, name, chosen, streams)
		all = append(all, lanes...)
		invalid = append(invalid, err)
	}
	return all, errors.Join(invalid...)
}

func read(ctx context.Context, name string, namespace manifest.Namespace, streams genericiooptions.IOStreams) ([]*v1alpha1.PlatformLane, error) {
	if name == "-" {
		return manifest.Read(ctx, streams.In, "standard input", namespace)
	}
	file, err := os.Open(name) //nolint:gosec // whoever types the command names its files
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return manifest.Read(ctx, file, name, namespace)
}

// resumed is the time before which the lane's sessions stay dead; nil for none.
func (f *files) resumed(lane *v1alpha1.PlatformLane) (*time.Time, error) {
	if f.sessionsNotBefore != "" {
		at, err := time.Parse(time.RFC3339, f.sessionsNotBefore)
		if err != nil {
			return nil, fmt.Errorf("--sessions-not-before %q: write a time like 2026-03-01T12:00:00Z", f.sessionsNotBefore)
		}
		return &at, nil
	}
	if lane.Status.SessionsNotBefore == nil {
		return nil, nil
	}
	return &lane.Status.SessionsNotBefore.Time, nil
}
