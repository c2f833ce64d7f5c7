package sandbox

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Names of the stack's parts, for Kill and Restart.
const (
	Etcd          = "etcd"
	KubeAPIServer = "kube-apiserver"
	ACK           = "ack"
	S3            = "versitygw"
	Edge          = "edge"
)

const (
	websiteDomain = "localhost"

	// Unix sockets, relative to the edge's folder.
	iamSocket           = "./iam.sock"
	authorizationSocket = "./authorization.sock"
	evaluatorSocket     = "./evaluator.sock"
)

// environment is what a part of the stack may see of ours: nothing that would
// lead an AWS or HTTP client astray.
func environment(extra ...string) []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "LANG", "USER"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return append(env, extra...)
}

func program(dir, path string, args ...string) func() *exec.Cmd {
	return func() *exec.Cmd {
		cmd := exec.Command(path, args...)
		cmd.Dir, cmd.Env = dir, environment()
		return cmd
	}
}

func (s *Stack) etcdCommand() func() *exec.Cmd {
	client, peer := s.settings.url("etcd"), s.settings.url("etcd-peer")
	return program(s.Dir, s.binaries.Etcd,
		"--name=sandbox", "--data-dir="+s.path("etcd"),
		"--listen-client-urls="+client, "--advertise-client-urls="+client,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=sandbox="+peer,
		"--unsafe-no-fsync", // the machine's crash may cost the sandbox's state, a process's does not
		"--log-level=warn",
	)
}

func (s *Stack) apiServerCommand() func() *exec.Cmd {
	key := s.pki.path("service-account.key")
	return program(s.Dir, s.binaries.KubeAPIServer,
		"--etcd-servers="+s.settings.url("etcd"),
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1",
		"--secure-port="+strconv.Itoa(s.settings.Ports["kube-apiserver"]),
		"--endpoint-reconciler-type=none",
		"--tls-cert-file="+s.pki.path("apiserver.crt"), "--tls-private-key-file="+s.pki.path("apiserver.key"),
		"--client-ca-file="+s.pki.path("ca.crt"), "--cert-dir="+s.pki.dir,
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file="+key,
		"--service-account-signing-key-file="+key, "--service-cluster-ip-range=10.0.0.0/24",
		"--authorization-mode=RBAC", "--anonymous-auth=false", "--allow-privileged=true",
		"--profiling=false", "--v=0",
	)
}

func (s *Stack) versityCommand() (func() *exec.Cmd, error) {
	args := []string{
		"--region", Region,
		"--port", s.settings.addr("versitygw"), "--keep-alive", "--health", "/_health", "--quiet",
		"--website", s.settings.addr("versitygw-website"), "--website-domain", websiteDomain,
		"--event-webhook-url", s.settings.url("events"),
		"--iam-standalone-endpoint", "../edge/" + authorizationSocket, "--iam-cache-disable",
		"posix", "--versioning-dir", s.path("s3-versions"),
	}
	if !extendedAttributes(s.Dir) {
		args = append(args, "--sidecar", s.path("s3-metadata"))
	}
	args = append(args, s.path("s3"))
	for _, dir := range []string{"s3", "s3-versions", "s3-metadata"} {
		if err := os.MkdirAll(s.path(dir), 0o700); err != nil {
			return nil, err
		}
	}
	// The gateway changes to its data folder; started there, the relative path of
	// the socket means the same throughout.
	start := program(s.path("s3"), s.binaries.VersityGW, args...)
	return func() *exec.Cmd {
		cmd := start()
		// Not on the command line, where every user of the machine can read it.
		cmd.Env = append(cmd.Env, "ROOT_ACCESS_KEY_ID="+s.settings.Root.ID, "ROOT_SECRET_ACCESS_KEY="+s.settings.Root.Secret)
		return cmd
	}, nil
}

func (s *Stack) edgeCommand() (func() *exec.Cmd, error) {
	if err := os.MkdirAll(s.path("edge"), 0o700); err != nil {
		return nil, err
	}
	root, err := RepositoryRoot()
	if err != nil {
		return nil, err
	}
	config := s.path("edge", "config.json")
	contents, err := s.edgeConfig(filepath.Join(root, "config", "cdn"))
	if err != nil {
		return nil, err
	}
	if err := writeJSON(config, contents); err != nil {
		return nil, err
	}
	return program(s.path("edge"), s.binaries.Edge, "-config", config), nil
}

func (s *Stack) ackCommand() func() *exec.Cmd {
	user := s.settings.Users[ackUser]
	return func() *exec.Cmd {
		cmd := exec.Command(s.binaries.ACK, append([]string{
			"--aws-region", Region,
			"--aws-endpoint-url", s.IAMEndpoint, "--aws-identity-endpoint-url", s.STSEndpoint,
			"--allow-unsafe-aws-endpoint-urls",
			"--metrics-addr", s.settings.addr("ack-metrics"), "--healthz-addr", s.settings.addr("ack-health"),
			"--enable-leader-election=false", "--enable-carm=false",
			"--deletion-policy", "delete", "--reconcile-resources", "Role",
			"--reconcile-default-max-concurrent-syncs", "4",
			"--log-level", "info",
		}, s.ackFlags...)...)
		cmd.Dir = s.Dir
		cmd.Env = environment(
			"KUBECONFIG="+s.path("ack.kubeconfig"),
			"AWS_ACCESS_KEY_ID="+user.ID, "AWS_SECRET_ACCESS_KEY="+user.Secret,
			"AWS_EC2_METADATA_DISABLED=true",
		)
		return cmd
	}
}

func (s *Stack) path(elem ...string) string {
	return filepath.Join(append([]string{s.Dir}, elem...)...)
}

// edgeConfig is the edge's configuration file; the edge refuses fields that it
// does not know. functions is the folder of the CDN's functions.
func (s *Stack) edgeConfig(functions string) (map[string]any, error) {
	policies, err := s.policies()
	if err != nil {
		return nil, err
	}
	listen := map[string]string{}
	for field, port := range map[string]string{
		"iam": "iam", "oidc": "oidc", "s3": "s3", "cdn": "cdn", "mirror": "mirror",
		"cloudFront": "cloudfront", "sqs": "sqs", "events": "events", "debug": "debug",
	} {
		listen[field] = s.settings.addr(port)
	}
	key := func(k accessKey) map[string]any {
		return map[string]any{"accessKeyID": k.ID, "secretAccessKey": k.Secret}
	}
	user := func(name string) map[string]any {
		u := key(s.settings.Users[name])
		u["name"], u["policies"] = name, policies[name]
		return u
	}
	bucket := func(name string, versioned bool) map[string]any {
		return map[string]any{
			"name": name, "versioned": versioned, "website": true,
			"publicPrefixes": []string{"whl/", "libtorch/", "platforms/"},
		}
	}
	return map[string]any{
		"region": Region, "dataDir": s.path("edge"), "listen": listen,
		"gateway": map[string]any{
			"s3": s.settings.addr("versitygw"), "website": s.settings.addr("versitygw-website"), "websiteDomain": websiteDomain,
		},
		"sockets":       map[string]any{"iam": iamSocket, "authorization": authorizationSocket, "evaluator": evaluatorSocket},
		"root":          key(s.settings.Root),
		"users":         []any{user(operatorUser), user(ackUser)},
		"buckets":       []any{bucket(Bucket, true), bucket(MirrorBucket, true), bucket(UnversionedBucket, false)},
		"primaryBucket": Bucket, "mirrorBucket": MirrorBucket,
		"distributionID": DistributionID, "queueName": QueueName, "audiences": []string{Audience},
		"functions": map[string]string{
			"viewerRequest":  filepath.Join(functions, "viewer-request.js"),
			"viewerResponse": filepath.Join(functions, "viewer-response.js"),
		},
	}, nil
}

// checkDir refuses folders that the stack could not use.
func checkDir(dir string) error {
	if strings.ContainsAny(dir, "\x00\n") {
		return fmt.Errorf("the folder name %q holds control characters", dir)
	}
	return os.MkdirAll(dir, 0o700)
}
