// Package config is the file that tells the edge where to listen and what the
// account holds when it starts. It may import only the standard library.
package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
)

// AccountID is the one account that versitygw's IAM knows; it is fixed there.
const AccountID = "000000000000"

// Config is the edge's whole configuration. Unknown fields are errors, so that
// the edge and the program that starts it cannot drift apart unnoticed.
type Config struct {
	// Region is the AWS region that every endpoint claims to be in.
	Region string `json:"region"`
	// DataDir holds IAM's state and the issuer's key. The process must be
	// started in it: unix sockets are named relative to it, because their
	// paths may not exceed about 100 bytes.
	DataDir string `json:"dataDir"`
	// Listen gives host:port for each endpoint; all on loopback.
	Listen Listen `json:"listen"`
	// Gateway is where versitygw serves.
	Gateway Gateway `json:"gateway"`
	// Sockets are the unix sockets between the edge and versitygw.
	Sockets Sockets `json:"sockets"`
	// Root is the account's root credential, shared with versitygw.
	Root Credential `json:"root"`
	// Users are created when missing.
	Users []User `json:"users"`
	// Buckets are created when missing.
	Buckets []Bucket `json:"buckets"`
	// PrimaryBucket is served by the CDN and reported to the queue;
	// MirrorBucket by the mirror endpoint.
	PrimaryBucket string `json:"primaryBucket"`
	MirrorBucket  string `json:"mirrorBucket"`
	// DistributionID names the CDN in CloudFront's API.
	DistributionID string `json:"distributionID"`
	// Functions are the CloudFront functions of the CDN.
	Functions Functions `json:"functions"`
	// QueueName names the one queue.
	QueueName string `json:"queueName"`
	// Audiences are the OIDC provider's client IDs.
	Audiences []string `json:"audiences"`
}

// Listen gives host:port for each endpoint.
type Listen struct {
	IAM        string `json:"iam"` // IAM and STS
	OIDC       string `json:"oidc"`
	S3         string `json:"s3"`
	CDN        string `json:"cdn"`
	Mirror     string `json:"mirror"`
	CloudFront string `json:"cloudFront"`
	SQS        string `json:"sqs"`
	Events     string `json:"events"` // versitygw's webhook
	Debug      string `json:"debug"`
}

// Gateway is where versitygw serves S3 and websites (host:port), and the domain
// below which it finds a bucket's website: <bucket>.<WebsiteDomain>.
type Gateway struct {
	S3            string `json:"s3"`
	Website       string `json:"website"`
	WebsiteDomain string `json:"websiteDomain"`
}

// Sockets are unix sockets, named relative to DataDir.
type Sockets struct {
	// IAM is versitygw's IAM API, behind the edge's public endpoint.
	IAM string `json:"iam"`
	// Authorization is what the S3 gateway asks about each request.
	Authorization string `json:"authorization"`
	// Evaluator is versitygw's own answer to those questions; the edge adds
	// condition keys in between.
	Evaluator string `json:"evaluator"`
}

// Functions are the files of the distribution's CloudFront functions.
type Functions struct {
	ViewerRequest  string `json:"viewerRequest"`
	ViewerResponse string `json:"viewerResponse"`
}

// Credential is a long-lived access key.
type Credential struct {
	AccessKeyID     string `json:"accessKeyID"`
	SecretAccessKey string `json:"secretAccessKey"`
}

// User is an IAM user with one access key.
type User struct {
	Name string `json:"name"`
	Credential
	// Policies stand for the managed policies attached to it.
	Policies []json.RawMessage `json:"policies"`
}

// Bucket is a bucket with the settings of the real one.
type Bucket struct {
	Name      string `json:"name"`
	Versioned bool   `json:"versioned"`
	Website   bool   `json:"website"`
	// PublicPrefixes are readable by anybody (a bucket policy).
	PublicPrefixes []string `json:"publicPrefixes"`
}

// Load reads and checks the file.
func Load(path string) (*Config, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the edge's configuration: %w", err)
	}
	var c Config
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &c, nil
}

func (c *Config) validate() error {
	var errs []error
	for name, addr := range map[string]string{
		"listen.iam": c.Listen.IAM, "listen.oidc": c.Listen.OIDC, "listen.s3": c.Listen.S3,
		"listen.cdn": c.Listen.CDN, "listen.mirror": c.Listen.Mirror, "listen.cloudFront": c.Listen.CloudFront,
		"listen.sqs": c.Listen.SQS, "listen.events": c.Listen.Events, "listen.debug": c.Listen.Debug,
		"gateway.s3": c.Gateway.S3, "gateway.website": c.Gateway.Website,
	} {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
			continue
		}
		if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
			errs = append(errs, fmt.Errorf("%s: %q is not a loopback address", name, addr))
		}
	}
	for name, value := range map[string]string{
		"region": c.Region, "dataDir": c.DataDir, "gateway.websiteDomain": c.Gateway.WebsiteDomain,
		"sockets.iam": c.Sockets.IAM, "sockets.authorization": c.Sockets.Authorization,
		"sockets.evaluator": c.Sockets.Evaluator, "root.accessKeyID": c.Root.AccessKeyID,
		"root.secretAccessKey": c.Root.SecretAccessKey, "primaryBucket": c.PrimaryBucket,
		"mirrorBucket": c.MirrorBucket, "distributionID": c.DistributionID, "queueName": c.QueueName,
		"functions.viewerRequest": c.Functions.ViewerRequest, "functions.viewerResponse": c.Functions.ViewerResponse,
	} {
		if value == "" {
			errs = append(errs, fmt.Errorf("%s is empty", name))
		}
	}
	return errors.Join(errs...)
}
