package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/cmd/plugin"
	"github.com/pytorch/platform-lane-operator/controllers/access"
	"github.com/pytorch/platform-lane-operator/controllers/ackrole"
)

const renderLong = `Print the Role that the operator makes of a lane, exactly as it would apply it,
without a cluster. The manifest is completed with the API's defaults and judged
by its rules first, as the API server would.

What only the cluster knows is left out: the owner's uid and the mark of the last
write. A lane without channels has no role.

Exit codes:
    0  rendered
    1  wrong usage, or a file cannot be read or is not valid
    3  a lane asks for something it does not get; what it does get is rendered`

const renderExample = `  # What a change in git would do to the lanes' permissions
  kubectl lane render -f lanes.yaml --config operator.yaml

  # The permissions of a lane that is there, for people
  kubectl get lane spyre -n vendor-ibm -o yaml | kubectl lane render -f - --config operator.yaml --policy`

// exitLeftOut is render's own exit code.
const exitLeftOut = 3

// render is one run of the command.
type render struct {
	files
	config  *genericclioptions.ConfigFlags
	streams genericiooptions.IOStreams

	output        string
	trust, policy bool
}

func newRender(streams genericiooptions.IOStreams) *cobra.Command {
	r := &render{config: offlineFlags(), streams: streams}
	cmd := &cobra.Command{
		Use: "render -f FILE --config FILE", Short: "Print the Role that the operator makes of a lane, offline",
		Long: renderLong, Example: renderExample, Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error { return r.run(cmd.Context()) },
	}
	flags := cmd.Flags()
	r.addFlags(flags)
	flags.StringVarP(&r.output, "output", "o", outputYAML, "yaml or json")
	flags.BoolVar(&r.trust, "trust", false, "only the trust policy, as JSON for people")
	flags.BoolVar(&r.policy, "policy", false, "only the permissions, as JSON for people")
	cmd.MarkFlagsMutuallyExclusive("trust", "policy", "output")
	r.config.AddFlags(flags)
	utilruntime.Must(cmd.RegisterFlagCompletionFunc("output", plugin.Fixed(outputYAML, outputJSON)))
	plugin.ShortenHelp(cmd)
	return cmd
}

// The values of --output.
const (
	outputYAML = "yaml"
	outputJSON = "json"
)

func (r *render) run(ctx context.Context) error {
	if r.output != outputYAML && r.output != outputJSON {
		return fmt.Errorf("--output %q: use yaml or json", r.output)
	}
	cfg, err := r.settings()
	if err != nil {
		return err
	}
	lanes, err := r.lanes(ctx, r.config, r.streams)
	if err != nil {
		return err
	}
	var printed, incomplete int
	for _, lane := range lanes {
		resumed, err := r.resumed(lane)
		if err != nil {
			return err
		}
		if len(lane.Spec.Channels) == 0 {
			fmt.Fprintf(r.streams.ErrOut, "lane %s is admitted only: it has no channels, and therefore no role\n", full(lane))
			continue
		}
		role, err := access.Render(lane, cfg.Access(), resumed)
		if problems(r.streams.ErrOut, lane, role, err) {
			incomplete++
		}
		if role.Name == "" {
			continue
		}
		if len(lanes) > 1 && (r.trust || r.policy) {
			fmt.Fprintf(r.streams.ErrOut, "lane %s:\n", full(lane)) // the documents do not say whose they are
		}
		if err := r.print(lane, role, printed); err != nil {
			return err
		}
		printed++
	}
	if incomplete > 0 {
		return &plugin.ExitError{Code: exitLeftOut, Err: fmt.Errorf("%d of %d lanes ask for something they do not get", incomplete, len(lanes))}
	}
	return nil
}

// problems says what the lane does not get, and whether there is any such thing.
func problems(out io.Writer, lane *v1alpha1.PlatformLane, role access.Role, err error) bool {
	if err == nil {
		return false
	}
	result := "left out of the role"
	if role.Name == "" {
		result = "in the way of any role"
	}
	fmt.Fprintf(out, "lane %s, %s:\n", full(lane), result)
	var found access.Problems
	if !errors.As(err, &found) {
		fmt.Fprintf(out, "  %s\n", plugin.Printable(err.Error()))
	}
	for _, p := range found {
		fmt.Fprintf(out, "  %s (%s)\n", plugin.Printable(p.Error()), p.Reason)
	}
	return true
}

// print writes one role after the n that were written before.
func (r *render) print(lane *v1alpha1.PlatformLane, role access.Role, n int) error {
	var text []byte
	var err error
	switch {
	case r.trust:
		text, err = pretty([]byte(role.Trust))
	case r.policy:
		text, err = pretty([]byte(role.InlinePolicy.Document))
	case r.output == outputJSON:
		text, err = json.MarshalIndent(ackrole.Manifest(lane, role).Object, "", "  ")
		text = append(text, '\n')
	default:
		text, err = yaml.Marshal(ackrole.Manifest(lane, role).Object)
		if n > 0 {
			text = append([]byte("---\n"), text...)
		}
	}
	if err != nil {
		return err
	}
	_, err = r.streams.Out.Write(text)
	return err
}

// pretty breaks a document into lines and changes nothing else: what IAM is sent
// reads \u002b where a name has a plus sign.
func pretty(document []byte) ([]byte, error) {
	var out bytes.Buffer
	if err := json.Indent(&out, document, "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}
