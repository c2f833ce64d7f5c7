package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/pytorch/platform-lane-operator/cmd/plugin"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/s3"
	"github.com/pytorch/platform-lane-operator/controllers/simpleindex"
	"github.com/pytorch/platform-lane-operator/controllers/simpleindex/crawl"
)

const indexCheckLong = `Check a simple index of Python packages, a lane's or anybody's, against the
specifications (PEP 503, 592, 629, 658, 691, 700, 714, 740, 792) and against what
is known to trip pip, uv and S3.

A URL is asked as an installer asks it, for HTML and for JSON. For s3://BUCKET/PREFIX
the stored pages are read, with their content types and cache headers; every listed
file has to be there, and every stored one on a page. A bucket is reached with the
AWS credentials of the environment.

An error breaks a MUST of a specification or misleads installers; a warning breaks
a SHOULD or hurts with some client or server.

Exit codes:
    0  nothing was found
    1  wrong usage, or the index cannot be read
    5  something was found`

const indexCheckExample = `  # The pages of a lane, as the public sees them
  kubectl lane index check https://download.pytorch.org/whl/spyre/

  # One project with its files, their METADATA and their hashes
  kubectl lane index check https://download.pytorch.org/whl/spyre/ --project torch --hashes

  # What lies in the bucket
  kubectl lane index check s3://pytorch/whl/nightly/spyre/ -o json`

// exitFindings is index check's own exit code.
const exitFindings = 5

// indexCheck is one run of the command.
type indexCheck struct {
	crawl.Options
	streams genericiooptions.IOStreams

	output, region, endpoint, credentialsFile string
	rules                                     bool
}

func newIndex(streams genericiooptions.IOStreams) *cobra.Command {
	cmd := &cobra.Command{
		Use: "index", Short: "Look at package indexes", Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknownCommand(cmd, args[0])
		},
	}
	cmd.SuggestionsMinimumDistance = 2
	cmd.AddCommand(newIndexCheck(streams))
	return cmd
}

func newIndexCheck(streams genericiooptions.IOStreams) *cobra.Command {
	c := &indexCheck{streams: streams}
	cmd := &cobra.Command{
		Use: "check URL | s3://BUCKET/PREFIX", Short: "Check a simple index against the specifications",
		Long: indexCheckLong, Example: indexCheckExample, Args: cobra.MaximumNArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error { return c.run(cmd.Context(), args) },
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&c.Projects, "project", nil, "only this project; may be repeated")
	flags.BoolVar(&c.Files, "files", false, "also look at every file: whether it is there, its size, cache headers and METADATA")
	flags.BoolVar(&c.Hashes, "hashes", false, "also download every file and compare its SHA-256")
	flags.IntVar(&c.AtOnce, "at-once", 8, "how many requests run in parallel, 1 to 64")
	flags.StringVarP(&c.output, "output", "o", outputText, "text or json")
	flags.StringVar(&c.region, "region", cmp.Or(os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"), "us-east-1"), "region of the bucket")
	flags.StringVar(&c.endpoint, "endpoint", "", "address of an S3-compatible server (default: Amazon S3)")
	flags.StringVar(&c.credentialsFile, "credentials-file", "", "shared credentials file for the bucket (default: the environment's credentials)")
	flags.BoolVar(&c.rules, "rules", false, "list the rules that are checked, and end")
	utilruntime.Must(cmd.RegisterFlagCompletionFunc("output", plugin.Fixed(outputText, outputJSON)))
	return cmd
}

func (c *indexCheck) run(ctx context.Context, args []string) error {
	if c.output != outputText && c.output != outputJSON {
		return fmt.Errorf("--output %q: use text or json", c.output)
	}
	if c.rules {
		return c.listRules()
	}
	if len(args) == 0 {
		return fmt.Errorf("name the index: a URL such as https://download.pytorch.org/whl/spyre/, or s3://BUCKET/PREFIX")
	}
	if c.AtOnce < 1 || c.AtOnce > 64 {
		return fmt.Errorf("--at-once %d: use 1 to 64", c.AtOnce)
	}
	report, err := c.crawl(ctx, args[0])
	if err != nil {
		return err
	}
	if c.output == outputJSON {
		err = c.writeJSON(report)
	} else {
		err = report.WriteText(c.streams.Out)
	}
	if err != nil || report.Clean() {
		return err
	}
	return &plugin.ExitError{Code: exitFindings, Err: fmt.Errorf("the index has %d errors and %d warnings", report.Errors, report.Warnings)}
}

func (c *indexCheck) crawl(ctx context.Context, index string) (*crawl.Report, error) {
	if !strings.HasPrefix(index, "s3://") {
		return crawl.HTTP(ctx, index, c.Options)
	}
	u, err := url.Parse(index)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("%s: write s3://BUCKET/PREFIX", simpleindex.Quote(index))
	}
	store, err := s3.New(ctx, s3.Config{Bucket: u.Host, Region: c.region, Endpoint: c.endpoint, SharedCredentialsFile: c.credentialsFile})
	if err != nil {
		return nil, err
	}
	return crawl.Bucket(ctx, store, u.Path, c.Options)
}

func (c *indexCheck) writeJSON(document any) error {
	encoder := json.NewEncoder(c.streams.Out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(document)
}

func (c *indexCheck) listRules() error {
	rules := simpleindex.Rules()
	if c.output == outputJSON {
		return c.writeJSON(rules)
	}
	for _, rule := range rules {
		if _, err := fmt.Fprintf(c.streams.Out, "%-26s %-8s %s (%s)\n", rule.ID, rule.Severity, rule.Summary, rule.Spec); err != nil {
			return err
		}
	}
	return nil
}
