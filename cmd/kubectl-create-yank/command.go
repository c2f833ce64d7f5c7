package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/printers"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/cmd/plugin"
)

const long = `Take published files of a platform lane back, and prove that they are gone.

REQUIREMENT is a project and the versions of it that are meant, as pip reads
them (PEP 508, PEP 440): torch==2.9.0+spyre, "torch>=2.9,<2.9.2". A Yank is a
standing rule: while it exists, later uploads that match are treated the same.

Modes, from the mildest to the strongest; a mode can be raised later:
  Flag          mark as yanked; exact pins still install (PEP 592)
  IndexRemoval  take off the index; direct URLs still work
  Quarantine    off the index and out of reach, bytes kept for forensics
  HardDelete    off the index, every version of the bytes destroyed

Exit codes:
    0  created; with --wait: verified, or planned with --plan
    1  wrong usage, or the API server refused or could not be reached; with
       --wait also: somebody deleted the Yank meanwhile
    2  --wait: not finished before --timeout
    3  --wait: no file matches; the Yank stays as a standing rule
    4  --wait: stalled; it cannot go on without somebody's help
  130  interrupted; a Yank that was created stays, and the operator goes on

Flags go behind the command: kubectl create yank … -n vendor-ibm.`

const example = `  # See what the API server would store, and what the operator would take back
  kubectl create yank torch==2.9.0+spyre --lane spyre --mode Quarantine --reason "under investigation" --dry-run=server -o yaml
  kubectl create yank torch==2.9.0+spyre --lane spyre --mode Quarantine --reason "under investigation" --plan --wait

  # Put a release out of everybody's reach, and wait for the proof
  kubectl create yank torch==2.9.0+spyre --lane spyre --mode Quarantine --reason "under investigation" --wait

  # Destroy one file by its hash, wherever it is, from a script
  kubectl create yank --sha256 "$(sha256sum torch.whl | cut -c1-64)" --lane spyre --mode HardDelete --reason "malicious" --yes --wait`

const defaultTimeout = 10 * time.Minute

// createYank is one run of the command.
type createYank struct {
	request
	config  *genericclioptions.ConfigFlags
	print   *genericclioptions.PrintFlags
	streams genericiooptions.IOStreams
	// interactive tells whether a person sits at the other end of a stream.
	interactive func(io.Reader) bool

	dryRun  string
	wait    bool
	timeout time.Duration
	yes     bool
}

func newCommand(streams genericiooptions.IOStreams) *cobra.Command {
	scheme := runtime.NewScheme()
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	c := &createYank{
		config:      genericclioptions.NewConfigFlags(true).WithWarningPrinter(streams),
		print:       genericclioptions.NewPrintFlags("created").WithTypeSetter(scheme),
		streams:     streams,
		interactive: func(in io.Reader) bool { return plugin.IsTerminal(in) },
	}
	return c.command()
}

func (c *createYank) command() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "kubectl-create-yank [REQUIREMENT] --lane LANE --mode MODE --reason TEXT",
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl create yank"},
		Short:         "Take published files of a platform lane back",
		Long:          long,
		Example:       example,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("expected one requirement, got %d: %q; quote a requirement that holds blanks, < or >", len(args), args)
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				c.requirement = args[0]
			}
			return c.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&c.lane, "lane", "", "PlatformLane that published the files (required)")
	flags.StringVar(&c.mode, "mode", "", "how far to take them back: Flag, IndexRemoval, Quarantine or HardDelete (required)")
	flags.StringVar(&c.reason, "reason", "", "one line that tells users why; it goes into the public record (required)")
	flags.StringSliceVar(&c.channels, "channel", nil, "only in this channel: nightly, test or release; may be repeated")
	flags.StringArrayVar(&c.files, "file", nil, "only files whose name matches this shell pattern (* and ?); may be repeated")
	flags.StringSliceVar(&c.sha256, "sha256", nil, "only files with this SHA-256; may be repeated, and replaces REQUIREMENT")
	flags.BoolVar(&c.planOnly, "plan", false, "plan only: list what would be taken back and touch nothing")
	flags.StringVar(&c.advisory, "advisory", "", "id of the public advisory, for example CVE-2026-12345")
	flags.StringVar(&c.advisoryURL, "advisory-url", "", "https URL where the advisory can be read")
	flags.StringVar(&c.onBehalfOf, "on-behalf-of", "", "who asked for it, if not you")
	flags.BoolVar(&c.restore, "restore-on-delete", false, "list the files again when the Yank is deleted (not for HardDelete)")
	flags.StringVar(&c.name, "name", "", "name of the Yank; made from the requirement by default")
	flags.BoolVar(&c.wait, "wait", false, "follow the Yank until it is verified (or planned)")
	flags.DurationVar(&c.timeout, "timeout", defaultTimeout, "how long --wait waits")
	flags.StringVar(&c.dryRun, "dry-run", plugin.DryRunNone, "client: print the Yank and send nothing; server: let the API server judge and complete it, and keep nothing")
	flags.BoolVar(&c.yes, "yes", false, "do not ask before a HardDelete")
	c.print.AddFlags(cmd)
	c.config.AddFlags(flags)
	c.addCompletion(cmd)
	plugin.ShortenHelp(cmd)
	return cmd
}

func (c *createYank) run(ctx context.Context) error {
	printer, err := c.printer()
	if err != nil {
		return err
	}
	namespace, err := plugin.Namespace(c.config)
	if err != nil {
		return err
	}
	yank, err := c.yank(namespace)
	if err != nil {
		return err
	}
	if c.dryRun == plugin.DryRunClient {
		return printer.PrintObj(yank, c.streams.Out)
	}
	if yank.Spec.Selector.Versions == "" && len(yank.Spec.Selector.SHA256) == 0 {
		fmt.Fprintf(c.streams.ErrOut, "warning: no version given: this means every version of %s, later uploads included\n", yank.Spec.Selector.Package)
	}
	if c.dryRun == plugin.DryRunNone && yank.Spec.Mode == v1alpha1.YankHardDelete && !c.planOnly && !c.yes {
		if err := confirm(c.streams.In, c.streams.ErrOut, c.interactive(c.streams.In), yank); err != nil {
			return err
		}
	}
	cluster, err := plugin.Connect(c.config)
	if err != nil {
		return err
	}
	if err := create(ctx, cluster, yank, c.dryRun == plugin.DryRunServer); err != nil {
		return err
	}
	if !c.wait {
		return printer.PrintObj(yank, c.streams.Out)
	}
	return c.waitFor(ctx, cluster, yank, printer)
}

// printer checks the flags that concern output and waiting, and returns what
// prints the object.
func (c *createYank) printer() (printers.ResourcePrinter, error) {
	printer, err := plugin.Printer(c.print, c.dryRun)
	if err != nil {
		return nil, err
	}
	switch {
	case c.wait && c.dryRun != plugin.DryRunNone:
		return nil, errors.New("--wait has nothing to follow in a dry run; drop one of the two, or use --plan --wait")
	case c.timeout <= 0:
		return nil, fmt.Errorf("--timeout %s: give a time above zero, such as 10m", c.timeout)
	}
	return printer, nil
}
