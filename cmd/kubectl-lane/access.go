package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/printers"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/cmd/plugin"
)

const suspendLong = `Refuse every credential of a lane at once: the sessions that are already live,
the next job's token, and access keys. What is published stays. It can be taken
back with kubectl lane resume.

Nothing of it asks the bucket, the index or the CDN: it works while they are
down. The reason, and your name as the API server knows it, are recorded in the
lane's status and in an Event.
`

const resumeLong = `Let the publishers of a suspended lane obtain credentials again. Sessions that
were issued before stay dead. The reason, and your name as the API server knows
it, are recorded in the lane's status and in an Event.
`

const accessExits = `
Exit codes:
    0  done, and seen to be in force; with --wait=false: asked for
    1  wrong usage, or the API server refused or could not be reached; or
       somebody changed it back, or deleted the lane, meanwhile
    2  asked for, but not in force before --timeout; the operator goes on
    4  asked for, but it cannot come into force without somebody's help
  130  interrupted; what was asked for stands, and the operator goes on`

const defaultTimeout = 2 * time.Minute

// changeAccess is one run of suspend or resume.
type changeAccess struct {
	config  *genericclioptions.ConfigFlags
	print   *genericclioptions.PrintFlags
	streams genericiooptions.IOStreams

	access  v1alpha1.Access
	lane    string
	reason  string
	dryRun  string
	wait    bool
	timeout time.Duration
}

func newSuspend(streams genericiooptions.IOStreams) *cobra.Command {
	return newChangeAccess(streams, v1alpha1.AccessSuspended, &cobra.Command{
		Use: "suspend NAME --reason TEXT", Short: "Refuse every credential of a lane at once", Long: suspendLong + accessExits,
		Example: `  kubectl lane suspend spyre --reason "upload token leaked, INC-4711" -n vendor-ibm`,
	})
}

func newResume(streams genericiooptions.IOStreams) *cobra.Command {
	return newChangeAccess(streams, v1alpha1.AccessActive, &cobra.Command{
		Use: "resume NAME --reason TEXT", Short: "Let a suspended lane's publishers in again", Long: resumeLong + accessExits,
		Example: `  kubectl lane resume spyre --reason "token rotated, INC-4711 closed" -n vendor-ibm`,
	})
}

func newChangeAccess(streams genericiooptions.IOStreams, access v1alpha1.Access, cmd *cobra.Command) *cobra.Command {
	c := &changeAccess{
		config:  genericclioptions.NewConfigFlags(true).WithWarningPrinter(streams),
		print:   genericclioptions.NewPrintFlags(past(access)).WithTypeSetter(scheme()),
		streams: streams, access: access,
	}
	cmd.Args = oneLane
	cmd.ValidArgsFunction = plugin.One(plugin.Lane(c.config))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c.lane = args[0]
		return c.run(cmd.Context())
	}
	flags := cmd.Flags()
	flags.StringVar(&c.reason, "reason", "", "one line that says why, for whoever looks at the lane (required)")
	flags.BoolVar(&c.wait, "wait", true, "wait until it is in force")
	flags.DurationVar(&c.timeout, "timeout", defaultTimeout, "how long --wait waits")
	flags.StringVar(&c.dryRun, "dry-run", plugin.DryRunNone, "client: print what would be sent; server: let the API server judge and complete it, and keep nothing")
	c.print.AddFlags(cmd)
	c.config.AddFlags(flags)
	utilruntime.Must(cmd.RegisterFlagCompletionFunc("dry-run", plugin.Fixed(plugin.DryRunNone, plugin.DryRunClient, plugin.DryRunServer)))
	plugin.CompleteNamespaces(cmd, c.config)
	plugin.ShortenHelp(cmd)
	return cmd
}

// scheme knows our kinds alone.
func scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(v1alpha1.AddToScheme(s))
	return s
}

// oneLane demands the name of one lane.
func oneLane(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return fmt.Errorf("name the lane: %s (kubectl get lanes -A shows them)", cmd.UseLine())
	case len(args) > 1:
		return fmt.Errorf("expected one lane, got %d: %q", len(args), args)
	}
	return nil
}

// past is what has been done to a lane.
func past(access v1alpha1.Access) string {
	if access == v1alpha1.AccessSuspended {
		return "suspended"
	}
	return "resumed"
}

const maxReason = 512 // characters, as the API has it

// notInLine is what would break a line, or turn it around.
var notInLine = regexp.MustCompile(`[\p{Cc}\p{Zl}\p{Zp}\x{202A}-\x{202E}\x{2066}-\x{2069}]`)

func checkReason(reason string) error {
	switch {
	case strings.TrimSpace(reason) == "":
		return errors.New("--reason is required: one line that says why, for whoever looks at the lane")
	case notInLine.MatchString(reason):
		return errors.New("--reason is one line of plain text; put the long story into a ticket and name that")
	case utf8.RuneCountInString(reason) > maxReason:
		return fmt.Errorf("--reason has %d characters and may have %d; put the long story into a ticket and name that", utf8.RuneCountInString(reason), maxReason)
	}
	return nil
}

func (c *changeAccess) run(ctx context.Context) error {
	if err := checkReason(c.reason); err != nil {
		return err
	}
	printer, err := c.printer()
	if err != nil {
		return err
	}
	namespace, err := plugin.Namespace(c.config)
	if err != nil {
		return err
	}
	cluster, err := plugin.Connect(c.config)
	if err != nil {
		return err
	}
	start := time.Now()
	lane, err := c.change(ctx, cluster, namespace)
	if err != nil {
		return err
	}
	warnOfGitOps(c.streams.ErrOut, lane, c.access)
	if c.dryRun != plugin.DryRunNone || !c.wait {
		return printer.PrintObj(lane, c.streams.Out)
	}
	return c.follow(ctx, cluster, lane, printer, start)
}

// printer checks the flags that concern output and waiting, and returns what
// prints the object.
func (c *changeAccess) printer() (printers.ResourcePrinter, error) {
	printer, err := plugin.Printer(c.print, c.dryRun)
	if err != nil {
		return nil, err
	}
	if c.timeout <= 0 {
		return nil, fmt.Errorf("--timeout %s: give a time above zero, such as 2m", c.timeout)
	}
	return printer, nil
}
