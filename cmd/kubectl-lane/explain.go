package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/cmd/plugin"
	"github.com/pytorch/platform-lane-operator/controllers/access"
	"github.com/pytorch/platform-lane-operator/controllers/operatorconfig"
)

const explainLong = `Say in sentences who may write what in a lane, and why: who may obtain its
credentials, which names these may write, and what they can never do.

The answer is made from the values that the lane's IAM documents are made from.
It needs the operator's configuration: that of --config, or else the one that the
operator in the cluster runs with, which the role platform-lane-config-reader in
its namespace lets you read.`

const explainExample = `  kubectl lane explain spyre -n vendor-ibm

  # Before it is applied, and without a cluster
  kubectl lane explain -f lane.yaml --config operator.yaml`

// Where the operator's configuration lies in a cluster; see config/manager.
const (
	defaultOperatorNamespace = "platform-lane-system"
	configMapName            = "platform-lane-operator-config"
	configMapKey             = "operator.yaml"
)

// outputText is the output for people.
const outputText = "text"

// narrowest is the least width that lines are broken for, in characters.
const narrowest = 60

// explain is one run of the command.
type explain struct {
	files
	config  *genericclioptions.ConfigFlags
	streams genericiooptions.IOStreams

	operatorNamespace string
	output            string
}

func newExplain(streams genericiooptions.IOStreams) *cobra.Command {
	e := &explain{config: genericclioptions.NewConfigFlags(true).WithWarningPrinter(streams), streams: streams}
	cmd := &cobra.Command{
		Use: "explain NAME | -f FILE", Short: "Say in sentences who may write what in a lane, and why",
		Long: explainLong, Example: explainExample, ValidArgsFunction: plugin.One(plugin.Lane(e.config)),
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(e.names) == 0:
				return oneLane(cmd, args)
			case len(args) > 0:
				return errors.New("give the name of a lane in the cluster, or -f with a manifest, but not both")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return e.run(cmd.Context(), args) },
	}
	flags := cmd.Flags()
	e.addFlags(flags)
	flags.StringVar(&e.operatorNamespace, "operator-namespace", defaultOperatorNamespace, "namespace that the operator runs in, to read its configuration there")
	flags.StringVarP(&e.output, "output", "o", outputText, "text, yaml or json")
	e.config.AddFlags(flags)
	utilruntime.Must(cmd.RegisterFlagCompletionFunc("output", plugin.Fixed(outputText, outputYAML, outputJSON)))
	plugin.CompleteNamespaces(cmd, e.config)
	plugin.ShortenHelp(cmd)
	return cmd
}

func (e *explain) run(ctx context.Context, args []string) error {
	switch e.output {
	case outputText, outputYAML, outputJSON:
	default:
		return fmt.Errorf("--output %q: use text, yaml or json", e.output)
	}
	lanes, cfg, err := e.gather(ctx, args)
	if err != nil {
		return err
	}
	for i, lane := range lanes {
		resumed, err := e.resumed(lane)
		if err != nil {
			return err
		}
		if err := e.print(access.Explain(lane, cfg.Access(), resumed), i); err != nil {
			return err
		}
	}
	return nil
}

// gather reads the lanes and the configuration, from files or from the cluster.
func (e *explain) gather(ctx context.Context, args []string) ([]*v1alpha1.PlatformLane, *operatorconfig.Config, error) {
	if len(args) == 0 {
		cfg, err := e.settings()
		if err != nil {
			return nil, nil, err
		}
		lanes, err := e.lanes(ctx, e.config, e.streams)
		return lanes, cfg, err
	}
	namespace, err := plugin.Namespace(e.config)
	if err != nil {
		return nil, nil, err
	}
	cluster, err := plugin.Connect(e.config)
	if err != nil {
		return nil, nil, err
	}
	lane := &v1alpha1.PlatformLane{}
	err = cluster.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: args[0]}, lane)
	switch {
	case apierrors.IsNotFound(err) && !plugin.Absent(err):
		return nil, nil, cluster.NoSuchLane(ctx, namespace, args[0])
	case err != nil:
		return nil, nil, cluster.Explain(err, plugin.Request{Verb: "get", Resource: "platformlanes", Kind: "lane", Role: "platform-lane-viewer"})
	}
	if e.operatorConfig != "" {
		cfg, err := e.settings()
		return []*v1alpha1.PlatformLane{lane}, cfg, err
	}
	cfg, err := e.runningConfig(ctx, cluster)
	return []*v1alpha1.PlatformLane{lane}, cfg, err
}

// runningConfig is what the operator in the cluster runs with.
func (e *explain) runningConfig(ctx context.Context, cluster *plugin.Cluster) (*operatorconfig.Config, error) {
	where := e.operatorNamespace + "/" + configMapName
	stored := &corev1.ConfigMap{}
	err := cluster.Client.Get(ctx, client.ObjectKey{Namespace: e.operatorNamespace, Name: configMapName}, stored)
	switch {
	case apierrors.IsForbidden(err):
		return nil, fmt.Errorf("you may not read the operator's configuration, the ConfigMap %s: pass the file with --config, or ask for the role platform-lane-config-reader in that namespace", where)
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("there is no ConfigMap %s with the operator's configuration: pass the file with --config, or say where the operator runs with --operator-namespace", where)
	case err != nil:
		return nil, cluster.Explain(err, plugin.Request{Verb: "get", Resource: "configmaps", Kind: "ConfigMap", Role: "platform-lane-config-reader"})
	}
	text, ok := stored.Data[configMapKey]
	if !ok {
		return nil, fmt.Errorf("the ConfigMap %s has no key %s; pass the operator's configuration with --config", where, configMapKey)
	}
	cfg, err := operatorconfig.Parse([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("the operator's configuration in the ConfigMap %s: %w", where, err)
	}
	return cfg, nil
}

// print writes one explanation after the n that were written before.
func (e *explain) print(said access.Explanation, n int) error {
	var text string
	switch e.output {
	case outputJSON:
		raw, err := json.MarshalIndent(said, "", "  ")
		if err != nil {
			return err
		}
		text = string(raw) + "\n"
	case outputYAML:
		raw, err := yaml.Marshal(said)
		if err != nil {
			return err
		}
		if n > 0 {
			text = "---\n"
		}
		text += string(raw)
	default:
		if n > 0 {
			text = "\n"
		}
		text += strings.TrimRight(said.Text(), "\n") + "\n"
		if width := plugin.Width(e.streams.Out); width > 0 {
			text = plugin.Wrap(text, max(width, narrowest))
		}
	}
	_, err := io.WriteString(e.streams.Out, text)
	return err
}
