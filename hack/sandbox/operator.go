package sandbox

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/pytorch/platform-lane-operator/controllers/operatorconfig"
)

// Operator is the name of the operator's process in a stack, unless its options
// give it another one.
const Operator = "operator"

// OperatorFile is the operator's configuration in a stack's data folder.
const OperatorFile = "operator.yaml"

// operatorReady bounds how long the operator may take until it is ready.
const operatorReady = 30 * time.Second

// OperatorConfig is the configuration under which the operator serves this
// stack. edit may change it; nil leaves it as it is.
func (i *Info) OperatorConfig(edit func(*operatorconfig.Config)) ([]byte, error) {
	credentials := filepath.Join(i.Dir, "operator.credentials")
	keys := fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", i.OperatorAccessKeyID, i.OperatorSecretAccessKey)
	if err := os.WriteFile(credentials, []byte(keys), 0o600); err != nil {
		return nil, err
	}
	cfg := operatorconfig.Config{
		APIVersion: operatorconfig.APIVersion, Kind: operatorconfig.Kind,
		ClusterID: "sandbox",
		AWS:       operatorconfig.AWS{AccountID: i.AccountID, Region: i.Region},
		Storage: operatorconfig.Store{
			Bucket: i.Bucket, Endpoint: i.S3Endpoint, CredentialsFile: credentials, PublicBaseURLs: []string{i.CDNURL},
		},
		Mirrors: []operatorconfig.Mirror{{Name: "mirror", Store: operatorconfig.Store{
			Bucket: i.MirrorBucket, Endpoint: i.S3Endpoint, CredentialsFile: credentials, PublicBaseURLs: []string{i.MirrorURL},
		}}},
		CDN:           operatorconfig.CDN{CloudFrontDistributionID: i.DistributionID, Endpoint: i.CloudFrontEndpoint, CredentialsFile: credentials},
		Roles:         operatorconfig.Roles{PermissionsBoundaryARN: "arn:aws:iam::" + i.AccountID + ":policy/platform-lane-boundary"},
		AccessKeys:    operatorconfig.AccessKeys{Mode: operatorconfig.AccessKeysEnabled, Endpoint: i.IAMEndpoint, CredentialsFile: credentials},
		GitHubIssuer:  i.OIDCIssuer,
		OIDCProviders: []operatorconfig.OIDCProvider{{Issuer: i.OIDCIssuer, ARN: i.OIDCProviderARN}},
		Events:        operatorconfig.Events{QueueURL: i.QueueURL, Endpoint: i.SQSEndpoint, CredentialsFile: credentials},
		Limits:        operatorconfig.Limits{PollSeconds: 30},
	}
	if edit != nil {
		edit(&cfg)
	}
	return yaml.Marshal(cfg)
}

// BuildOperator builds the operator from this repository and returns the path of
// the program.
func BuildOperator(ctx context.Context, out io.Writer) (string, error) {
	return buildOwn(ctx, out, "manager", "./cmd/manager")
}

// BuildPlugin builds kubectl-create-yank from this repository and returns its
// path; its folder belongs on the PATH of kubectl.
func BuildPlugin(ctx context.Context, out io.Writer) (string, error) {
	return buildOwn(ctx, out, "kubectl-create-yank", "./cmd/kubectl-create-yank")
}

func buildOwn(ctx context.Context, out io.Writer, name, pkg string) (string, error) {
	root, err := RepositoryRoot()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, "bin", name)
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", path, pkg)
	command.Dir, command.Stdout, command.Stderr = root, out, out
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("build %s: %w", pkg, err)
	}
	return path, nil
}

// OperatorProcess is the operator's program, running against a stack.
type OperatorProcess struct {
	stack        *Stack
	name, config string
	health       string
	// Metrics is the URL of its metrics.
	Metrics string
}

// OperatorOptions say how the operator is run.
type OperatorOptions struct {
	// Edit may change the configuration.
	Edit func(*operatorconfig.Config)
	// Alone runs it without leader election: after a SIGKILL nobody has to wait
	// for the lease of the dead.
	Alone bool
	// Name of the process, for a second replica.
	Name string
}

// StartOperator runs the operator's program against the stack and waits until it
// is ready.
func (s *Stack) StartOperator(ctx context.Context, program string, o OperatorOptions) (*OperatorProcess, error) {
	health, err := freeAddress()
	if err != nil {
		return nil, err
	}
	metrics, err := freeAddress()
	if err != nil {
		return nil, err
	}
	config, err := s.ConfigureOperator(o.Edit)
	if err != nil {
		return nil, err
	}
	p := &OperatorProcess{
		stack: s, name: cmp.Or(o.Name, Operator), config: config, health: health, Metrics: "http://" + metrics + "/metrics",
	}
	command := exec.Command(program,
		"--config", p.config, "--kubeconfig", s.Kubeconfig,
		"--metrics-bind-address="+metrics, "--metrics-secure=false", "--health-probe-bind-address="+health,
		fmt.Sprintf("--leader-elect=%t", !o.Alone), "--leader-election-namespace=default", "--leader-election-lease=4s",
	)
	command.Env = environment("AWS_EC2_METADATA_DISABLED=true")
	if err := s.Spawn(p.name, command); err != nil {
		return nil, err
	}
	return p, p.ready(ctx)
}

// ConfigureOperator writes the operator's configuration into the stack's folder
// and returns its path. edit may change it; nil leaves it as it is.
func (s *Stack) ConfigureOperator(edit func(*operatorconfig.Config)) (path string, err error) {
	config, err := s.OperatorConfig(edit)
	if err != nil {
		return "", err
	}
	path = filepath.Join(s.Dir, OperatorFile)
	return path, os.WriteFile(path, config, 0o600)
}

// Kill ends the operator as a crash would (SIGKILL) and starts it again.
func (p *OperatorProcess) Kill(ctx context.Context) error {
	if err := p.Crash(); err != nil {
		return err
	}
	return p.again(ctx)
}

// Crash ends the operator as a crash would and leaves it dead.
func (p *OperatorProcess) Crash() error { return p.stack.Kill(p.name) }

// Reconfigure starts the operator again under another configuration.
func (p *OperatorProcess) Reconfigure(ctx context.Context, edit func(*operatorconfig.Config)) error {
	if err := p.stack.Terminate(p.name); err != nil {
		return err
	}
	if _, err := p.stack.ConfigureOperator(edit); err != nil {
		return err
	}
	return p.again(ctx)
}

func (p *OperatorProcess) again(ctx context.Context) error {
	if err := p.stack.Restart(ctx, p.name); err != nil {
		return err
	}
	return p.ready(ctx)
}

func (p *OperatorProcess) ready(ctx context.Context) error {
	return waitReady(ctx, "http://"+p.health+"/readyz", p.stack.LogDir)
}

// waitReady asks until the operator says that it is ready.
func waitReady(ctx context.Context, url, logs string) error {
	ctx, cancel := context.WithTimeout(ctx, operatorReady)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the operator is not ready; see %s", filepath.Join(logs, Operator+".log"))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// freeAddress is a loopback address that nobody listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}
