package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/pytorch/platform-lane-operator/controllers/account"
	"github.com/pytorch/platform-lane-operator/controllers/operatorconfig"
)

const bootstrapLong = `Print what release engineering applies once to the AWS account, made from the
operator's configuration: the token issuers, the permissions boundary of the
lanes' roles, least-privilege policies for the operator and for ACK's
iam-controller, and the bucket policy that is a second fence around the lanes.
Each part is explained in a comment. None of it grows with the number of lanes.

It is a CloudFormation template; with -o json --only NAME it is one of its policy
documents, for those who use something else. Nothing is sent anywhere.`

const bootstrapExample = `  kubectl lane bootstrap --config operator.yaml > account.yaml
  aws cloudformation deploy --stack-name platform-lanes --template-file account.yaml --capabilities CAPABILITY_NAMED_IAM

  # One policy document, as the AWS API takes it
  kubectl lane bootstrap --config operator.yaml -o json --only bucket-policy`

func newBootstrap(streams genericiooptions.IOStreams) *cobra.Command {
	var f files
	var output, only string
	cmd := &cobra.Command{
		Use: "bootstrap --config FILE", Short: "Print what the AWS account needs, once",
		Long: bootstrapLong, Example: bootstrapExample, Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			if output != "yaml" && output != "json" {
				return fmt.Errorf("-o %s is unknown; use yaml or json", output)
			}
			if only != "" && output != "json" {
				return fmt.Errorf("--only %s is one policy document; add -o json", only)
			}
			cfg, err := f.settings()
			if err != nil {
				return err
			}
			text, err := bootstrapText(cfg, output, only)
			if err != nil {
				return err
			}
			_, err = streams.Out.Write(text)
			return err
		},
	}
	cmd.Flags().StringVar(&f.operatorConfig, "config", "", "the operator's configuration file (required)")
	cmd.Flags().StringVarP(&output, "output", "o", "yaml", "yaml, the whole template, or json, one policy document")
	cmd.Flags().StringVar(&only, "only", "", "with -o json: the name of the document")
	return cmd
}

func bootstrapText(cfg *operatorconfig.Config, output, only string) ([]byte, error) {
	if output == "yaml" {
		return account.Template(cfg)
	}
	documents, err := account.Documents(cfg)
	if err != nil {
		return nil, err
	}
	var names strings.Builder
	for _, d := range documents {
		if d.Name == only {
			return d.JSON, nil
		}
		fmt.Fprintf(&names, "\n  %-24s %s", d.Name, d.Purpose)
	}
	if only == "" {
		return nil, fmt.Errorf("-o json prints one document; name it with --only:%s", names.String())
	}
	return nil, fmt.Errorf("there is no document named %q; there are:%s", only, names.String())
}
