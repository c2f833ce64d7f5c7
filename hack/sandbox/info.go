package sandbox

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Fixed names of what the account holds.
const (
	AccountID         = "000000000000"
	Region            = "us-east-1"
	Bucket            = "pytorch-distribution"
	MirrorBucket      = "pytorch-mirror"
	UnversionedBucket = "unversioned"
	DistributionID    = "ESANDBOX000001"
	QueueName         = "lane-events"
	// Audience is what tokens for STS are made out to.
	Audience = "sts.amazonaws.com"

	operatorUser = "lane-operator"
	ackUser      = "ack-iam-controller"
)

// Info is how to reach a running stack. It is also written to <Dir>/stack.json,
// readable by its owner only: it holds secrets. URLs have no trailing slash.
type Info struct {
	// Dir is the data folder; LogDir holds one log for each program; BinDir the
	// programs themselves.
	Dir    string `json:"dir"`
	LogDir string `json:"logDir"`
	BinDir string `json:"binDir"`

	// Kubeconfig is the path of the administrator's (group system:masters).
	Kubeconfig string `json:"kubeconfig"`
	// KubeAPIServer is its URL (https).
	KubeAPIServer string `json:"kubeAPIServer"`

	AccountID string `json:"accountID"`
	Region    string `json:"region"`

	// S3Endpoint is path-style. It counts calls and gives policies the condition
	// keys that the gateway behind it lacks; use it and not the gateway.
	S3Endpoint string `json:"s3Endpoint"`
	// WebsiteEndpoint serves buckets' websites, chosen by the Host header
	// <bucket>.<WebsiteDomain>. CDNURL and MirrorURL are what clients use.
	WebsiteEndpoint string `json:"websiteEndpoint"`
	WebsiteDomain   string `json:"websiteDomain"`

	IAMEndpoint string `json:"iamEndpoint"`
	STSEndpoint string `json:"stsEndpoint"`

	// OIDCIssuer is the tokens' iss. Without its scheme it is the prefix of the
	// condition keys in a trust policy: "<host:port>:sub".
	OIDCIssuer      string `json:"oidcIssuer"`
	OIDCIssuerHost  string `json:"oidcIssuerHost"`
	OIDCProviderARN string `json:"oidcProviderARN"`
	// TokenEndpoint is where a job gets its token; see Token.
	TokenEndpoint string `json:"tokenEndpoint"`

	// CDNURL is the public base URL of the primary bucket, MirrorURL that of the
	// mirror, which does not cache.
	CDNURL    string `json:"cdnURL"`
	MirrorURL string `json:"mirrorURL"`

	CloudFrontEndpoint string `json:"cloudFrontEndpoint"`
	DistributionID     string `json:"distributionID"`

	SQSEndpoint string `json:"sqsEndpoint"`
	QueueURL    string `json:"queueURL"`

	// Bucket and MirrorBucket are versioned, UnversionedBucket is not.
	Bucket            string `json:"bucket"`
	MirrorBucket      string `json:"mirrorBucket"`
	UnversionedBucket string `json:"unversionedBucket"`

	// The operator's own credential may do what the operator must, and no more;
	// root may do anything.
	OperatorAccessKeyID     string `json:"operatorAccessKeyID"`
	OperatorSecretAccessKey string `json:"operatorSecretAccessKey"`
	RootAccessKeyID         string `json:"rootAccessKeyID"`
	RootSecretAccessKey     string `json:"rootSecretAccessKey"`

	// DebugEndpoint is for tests; see Calls and SetFault.
	DebugEndpoint string `json:"debugEndpoint"`
}

func infoFile(dir string) string { return filepath.Join(dir, "stack.json") }

// Load reads how to reach the stack on a data folder. It does not tell whether
// the stack is running.
func Load(dir string) (*Info, error) {
	raw, err := os.ReadFile(infoFile(dir))
	if err != nil {
		return nil, fmt.Errorf("no sandbox has been started on %s: %w", dir, err)
	}
	var info Info
	if err := json.Unmarshal(raw, &info); err != nil {
		return nil, fmt.Errorf("%s: %w", infoFile(dir), err)
	}
	return &info, nil
}

func newInfo(dir, binDir string, s *settings) Info {
	oidc := s.addr("oidc")
	return Info{
		Dir: dir, LogDir: filepath.Join(dir, "logs"), BinDir: binDir,
		Kubeconfig: filepath.Join(dir, "kubeconfig"), KubeAPIServer: "https://" + s.addr("kube-apiserver"),
		AccountID: AccountID, Region: Region,
		S3Endpoint: s.url("s3"), WebsiteEndpoint: s.url("versitygw-website"), WebsiteDomain: websiteDomain,
		IAMEndpoint: s.url("iam"), STSEndpoint: s.url("iam"),
		OIDCIssuer: "http://" + oidc, OIDCIssuerHost: oidc,
		OIDCProviderARN: "arn:aws:iam::" + AccountID + ":oidc-provider/" + oidc,
		TokenEndpoint:   "http://" + oidc + "/token",
		CDNURL:          s.url("cdn"), MirrorURL: s.url("mirror"),
		CloudFrontEndpoint: s.url("cloudfront"), DistributionID: DistributionID,
		SQSEndpoint: s.url("sqs"), QueueURL: s.url("sqs") + "/" + AccountID + "/" + QueueName,
		Bucket: Bucket, MirrorBucket: MirrorBucket, UnversionedBucket: UnversionedBucket,
		OperatorAccessKeyID: s.Users[operatorUser].ID, OperatorSecretAccessKey: s.Users[operatorUser].Secret,
		RootAccessKeyID: s.Root.ID, RootSecretAccessKey: s.Root.Secret,
		DebugEndpoint: s.url("debug"),
	}
}
