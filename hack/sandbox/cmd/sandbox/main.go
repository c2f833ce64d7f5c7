// Command sandbox builds, runs and ends the local stack.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/pytorch/platform-lane-operator/hack/sandbox"
)

const usage = `usage: sandbox [-dir folder] build|up|down|env|publish

  build  make the stack's programs (bin/sandbox); about 12 minutes the first time
  up     run the stack until Ctrl-C
  down   end the stack that runs on the folder
  env    print shell commands that point kubectl and the AWS CLI at the stack
  publish NAMESPACE/LANE PACKAGE==VERSION [CHANNEL]
         play the vendor's upload job: token, role, a small stand-in wheel
`

func main() {
	ctrllog.SetLogger(logr.Discard()) // envtest's; what matters is said in plain words
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sandbox:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("sandbox", flag.ContinueOnError)
	dir := flags.String("dir", "", "data folder (default: "+sandbox.DefaultDir+" in the repository)")
	without := flags.Bool("without-operator", false, "up: run the stack alone")
	flags.Usage = func() { fmt.Fprint(flags.Output(), usage) }
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch flags.Arg(0) {
	case "build":
		_, err := sandbox.Build(ctx, out)
		return err
	case "up":
		return up(ctx, *dir, !*without, out)
	case "down":
		return sandbox.Down(*dir, out)
	case "env":
		return env(*dir, out)
	case "publish":
		return publish(ctx, *dir, flags.Args()[1:], out)
	default:
		flags.Usage()
		return fmt.Errorf("unknown command %q", flags.Arg(0))
	}
}

// up runs the stack until the context ends or a part of it does.
func up(ctx context.Context, dir string, withOperator bool, out io.Writer) error {
	var manager, plugin string
	if withOperator {
		fmt.Fprintln(out, "building the operator and the kubectl plugin")
		var err error
		if manager, err = sandbox.BuildOperator(ctx, out); err != nil {
			return err
		}
		if plugin, err = sandbox.BuildPlugin(ctx, out); err != nil {
			return err
		}
	}
	stack, err := sandbox.Start(ctx, sandbox.Options{Dir: dir, Out: out})
	if err != nil {
		return err
	}
	defer func() {
		started := time.Now()
		fmt.Fprintln(out, "\nstopping the sandbox")
		stack.Stop()
		fmt.Fprintf(out, "stopped after %s; its data is kept in %s\n", time.Since(started).Round(100*time.Millisecond), stack.Dir)
	}()
	release, err := stack.Supervise()
	if err != nil {
		return err
	}
	defer release()
	if err := stack.InstallProduct(ctx); err != nil {
		return err
	}
	if err := startOperator(ctx, stack, manager, out); err != nil {
		return err
	}
	describe(out, &stack.Info, filepath.Dir(plugin))
	return stack.WaitAny(ctx)
}

// startOperator runs the operator, or, without a program, leaves its
// configuration for `make run`.
func startOperator(ctx context.Context, stack *sandbox.Stack, manager string, out io.Writer) error {
	if manager == "" {
		path, err := stack.ConfigureOperator(nil)
		if err == nil {
			fmt.Fprintf(out, "  run the operator yourself: make run (configuration: %s)\n", path)
		}
		return err
	}
	if _, err := stack.StartOperator(ctx, manager, sandbox.OperatorOptions{}); err != nil {
		return err
	}
	fmt.Fprintln(out, "  the operator is ready")
	return nil
}

func describe(out io.Writer, i *sandbox.Info, plugins string) {
	fmt.Fprintf(out, `
  Kubernetes  %s
              export KUBECONFIG=%s
  S3          %s   (buckets %s, %s, %s)
  IAM, STS    %s
  tokens      %s   (POST a job's claims, get its OIDC token)
  public      %s   through the CDN, %s the mirror
  CloudFront  %s   distribution %s
  queue       %s
  logs        %s
  all of it   %s (holds secrets)

Try next, in another terminal:
  eval "$(go run ./hack/sandbox/cmd/sandbox env)"; export PATH="%s:$PATH"
  kubectl apply -f config/samples/namespaces.yaml -f config/samples/distribution_v1alpha1_platformlane_spyre.yaml
  kubectl get lanes -A
  kubectl lane explain spyre -n vendor-ibm --config %s
  go run ./hack/sandbox/cmd/sandbox publish vendor-ibm/spyre torch==2.9.0
  pip download --no-deps torch==2.9.0+spyre --index-url %s/whl/spyre/
  kubectl create yank torch==2.9.0+spyre --lane spyre --mode Quarantine --reason "trying it" --wait -n vendor-ibm

Ctrl-C stops everything; the data stays.
`, i.KubeAPIServer, i.Kubeconfig, i.S3Endpoint, i.Bucket, i.MirrorBucket, i.UnversionedBucket,
		i.IAMEndpoint, i.TokenEndpoint, i.CDNURL, i.MirrorURL, i.CloudFrontEndpoint, i.DistributionID,
		i.QueueURL, i.LogDir, filepath.Join(i.Dir, "stack.json"), plugins, filepath.Join(i.Dir, "operator.yaml"), i.CDNURL)
}

// loadInfo reads how to reach the stack of a folder, or of the default one.
func loadInfo(dir string) (*sandbox.Info, error) {
	if dir == "" {
		root, err := sandbox.RepositoryRoot()
		if err != nil {
			return nil, err
		}
		dir = filepath.Join(root, sandbox.DefaultDir)
	}
	return sandbox.Load(dir)
}

func env(dir string, out io.Writer) error {
	i, err := loadInfo(dir)
	if err != nil {
		return err
	}
	for _, v := range []struct{ name, value string }{
		{"KUBECONFIG", i.Kubeconfig},
		{"AWS_REGION", i.Region},
		{"AWS_ACCESS_KEY_ID", i.OperatorAccessKeyID},
		{"AWS_SECRET_ACCESS_KEY", i.OperatorSecretAccessKey},
		{"AWS_ENDPOINT_URL_S3", i.S3Endpoint},
		{"AWS_ENDPOINT_URL_IAM", i.IAMEndpoint},
		{"AWS_ENDPOINT_URL_STS", i.STSEndpoint},
		{"AWS_ENDPOINT_URL_SQS", i.SQSEndpoint},
		{"AWS_ENDPOINT_URL_CLOUDFRONT", i.CloudFrontEndpoint},
		{"AWS_EC2_METADATA_DISABLED", "true"},
		{"LANE_CDN_URL", i.CDNURL},
		{"LANE_MIRROR_URL", i.MirrorURL},
	} {
		fmt.Fprintf(out, "export %s='%s'\n", v.name, v.value)
	}
	fmt.Fprintln(out, "unset AWS_SESSION_TOKEN AWS_PROFILE AWS_CA_BUNDLE")
	return nil
}
