package account

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/pytorch/platform-lane-operator/controllers/claim"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/operatorconfig"
)

// Names of the documents. The policy of a mirror's bucket is called BucketPolicy,
// a hyphen and the mirror's name. OperatorFence goes on in OperatorFence, a hyphen
// and a number, if one policy cannot hold it.
const (
	PermissionsBoundary = "permissions-boundary"
	IAMController       = "iam-controller"
	Operator            = "operator"
	OperatorFence       = "operator-fence"
	// OperatorAccessKeys is there only if accessKeys.mode is Enabled.
	OperatorAccessKeys = "operator-access-keys"
	BucketPolicy       = "bucket-policy"
)

// Quotas, in characters without white space. AWS raises none of them.
const (
	managedPolicyQuota = 6144
	bucketPolicyQuota  = 20480
)

// Document is one policy document, complete and ready to be applied.
type Document struct {
	// Name tells the documents apart.
	Name string
	// Purpose says in one sentence what it is for and where it belongs.
	Purpose string
	// JSON is the document: indented, the same bytes for the same configuration.
	JSON []byte
}

// Documents are all policies of the account. The error names each field of the
// configuration that stands in their way.
func Documents(cfg *operatorconfig.Config) ([]Document, error) {
	a, err := newAccount(cfg)
	if err != nil {
		return nil, err
	}
	var documents []Document
	for _, p := range a.policies() {
		encoded, err := p.finish()
		if err != nil {
			return nil, err
		}
		documents = append(documents, Document{Name: p.name, Purpose: p.purpose, JSON: encoded})
	}
	return documents, nil
}

// named is a policy with its name and what it is for.
type named struct {
	name, purpose string
	document
	// quota is in characters; remedy says what to do when it is exceeded.
	quota  int
	remedy string
}

func (p named) finish() ([]byte, error) {
	encoded, err := p.encode()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	n, err := size(encoded)
	if err == nil && n > p.quota {
		err = fmt.Errorf("has %d characters and AWS allows %d, %d too many; %s", n, p.quota, n-p.quota, p.remedy)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	return encoded, nil
}

const fewerNames = "list fewer names under reservedPlatforms"

func (a *account) policies() []named {
	all := []named{
		{PermissionsBoundary, "The most that a lane's role can ever do, whatever its own policy says: the managed policy " + a.boundary + ".",
			a.lanesBoundary(), managedPolicyQuota, fewerNames},
		{IAMController, "What ACK's iam-controller may do: manage the roles of lanes, and nothing else. For the role that its service account assumes.",
			a.iamController(), managedPolicyQuota, "shorten roles.path and roles.prefix"},
		{Operator, "What the operator may do: keep the index, take files back, empty the CDN's caches, read its queue. For the role that its service account assumes.",
			a.operator(), managedPolicyQuota, "configure fewer mirrors"},
		{BucketPolicy, "The policy of the bucket " + a.bucket + ": everybody reads what is published, and a second fence keeps each lane in its folders.",
			a.bucketPolicy(a.bucket), bucketPolicyQuota, fewerNames},
	}
	all = append(all, a.operatorFences()...)
	if a.accessKeys {
		all = append(all, named{OperatorAccessKeys, "What the operator may do about the users of lanes that publish with access keys. For the operator's role, beside the policy " + Operator + ".",
			a.operatorAccessKeys(), managedPolicyQuota, "shorten roles.path and roles.prefix"})
	}
	for _, m := range a.mirrors {
		all = append(all, named{BucketPolicy + "-" + m.Name, "The policy of the mirror's bucket " + m.Bucket + ": everybody reads what is published, and no lane writes there.",
			a.mirrorPolicy(m.Bucket), bucketPolicyQuota, fewerNames})
	}
	return all
}

// account is what the policies are made of.
type account struct {
	cfg *operatorconfig.Config
	// arn stands before every ARN: arn:aws.
	arn string
	// boundary is the ARN of the permissions boundary.
	boundary string
	// bucket is the primary store's; mirrors are those that the operator reaches
	// with its own role.
	bucket  string
	mirrors []operatorconfig.Mirror
	// queue is the ARN of the events' queue; empty if there is none.
	queue string
	// accessKeys says whether lanes may have users with access keys.
	accessKeys bool
	// reserved are the names that no lane may have, as patterns.
	reserved values
}

var (
	distributionRE = regexp.MustCompile(`^[A-Z0-9]{1,32}$`)
	queuePathRE    = regexp.MustCompile(`^/([0-9]{12})/([A-Za-z0-9_-]{1,80}(?:\.fifo)?)$`)
	queueHostRE    = regexp.MustCompile(`^(?:sqs(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?|([a-z0-9-]+)\.queue\.amazonaws\.com(?:\.cn)?)$`)
	platformRE     = regexp.MustCompile(`^[a-z][a-z0-9]{1,30}$`)
)

// newAccount checks what the configuration's own rules leave open. Its values end
// up in policies, where a wildcard would widen them.
func newAccount(cfg *operatorconfig.Config) (*account, error) {
	a := &account{
		cfg: cfg, arn: "arn:" + cfg.AWS.Partition, boundary: cfg.Roles.PermissionsBoundaryARN, bucket: cfg.Storage.Bucket,
		accessKeys: cfg.Access().AccessKeysEnabled,
		reserved:   setOf(append(claim.ReservedPatterns(), cfg.ReservedPlatforms...)...),
	}
	for _, m := range cfg.Mirrors {
		// Another endpoint is another provider, and other credentials are another
		// account's: what these may do is not decided here.
		if m.Endpoint == "" && m.CredentialsFile == "" {
			a.mirrors = append(a.mirrors, m)
		}
	}
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if policies := a.arn + ":iam::" + cfg.AWS.AccountID + ":policy/"; !strings.HasPrefix(a.boundary, policies) || len(a.boundary) == len(policies) {
		problem("roles.permissionsBoundaryARN: must be the ARN that the boundary will have in this account, such as %splatform-lane-boundary; is %q", policies, a.boundary)
	}
	if id := cfg.CDN.CloudFrontDistributionID; id != "" && !distributionRE.MatchString(id) {
		problem("cdn.cloudFrontDistributionID: must be the id of a distribution like E1EXAMPLE, is %q", id)
	}
	if cfg.Events.QueueURL != "" {
		var err error
		if a.queue, err = a.queueARN(cfg.Events.QueueURL); err != nil {
			problems = append(problems, err)
		}
	}
	if n := len(a.operatorFences()); n > maxFences {
		problem("reservedPlatforms: with all mirrors in the account, keeping the operator out of these folders takes %d policies, and at most %d fit on a role; %s", n, maxFences, fewerNames)
	}
	for i, name := range cfg.ReservedPlatforms {
		if !platformRE.MatchString(name) {
			problem("reservedPlatforms[%d]: must be a name that a platform could have, 2 to 31 lower-case letters and digits, is %q", i, name)
		}
	}
	return a, errors.Join(problems...)
}

func (a *account) queueARN(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("events.queueURL: %w", err)
	}
	path := queuePathRE.FindStringSubmatch(u.Path)
	if path == nil {
		return "", fmt.Errorf("events.queueURL: must end in the account and the name of an SQS queue, as in https://sqs.us-east-1.amazonaws.com/123456789012/platform-lanes; is %q", u.Redacted())
	}
	region := a.cfg.AWS.Region
	if host := queueHostRE.FindStringSubmatch(u.Host); host != nil {
		region = host[1] + host[2] // One of the two is empty.
	}
	return strings.Join([]string{a.arn, "sqs", region, path[1], path[2]}, ":"), nil
}

// laneTag is the platform of whoever makes a request, as a policy variable. If
// the principal has no such tag, an Allow with it allows nothing, and a Deny with
// it may deny nothing: a Deny needs a partner that looks for the missing tag.
const laneTag = "${" + laneTagKey + "}"

// object is the ARN of the objects whose keys match a pattern.
func (a *account) object(bucket, pattern string) string {
	return a.arn + ":s3:::" + bucket + "/" + pattern
}

// objects are the ARNs of keys in the primary bucket and its mirrors.
func (a *account) objects(patterns ...string) values {
	var all []string
	for _, bucket := range a.buckets() {
		for _, p := range patterns {
			all = append(all, a.object(bucket, p))
		}
	}
	return setOf(all...)
}

func (a *account) buckets() []string {
	names := []string{a.bucket}
	for _, m := range a.mirrors {
		names = append(names, m.Bucket)
	}
	return names
}

// iam is the ARN of a role or user of the account by its path and name.
func (a *account) iam(kind, name string) string {
	return a.arn + ":iam::" + a.cfg.AWS.AccountID + ":" + kind + name
}

// lanesOwn is the ARN of the role or user that belongs to the lane of a name,
// which may be a variable or a wildcard.
func (a *account) lanesOwn(kind, lane string) string {
	return a.iam(kind, a.cfg.Roles.Path+a.cfg.Roles.Prefix+lane)
}

// below is the pattern of all roles or users below the lanes' path.
func (a *account) below(kind string) string { return a.iam(kind, a.cfg.Roles.Path+"*") }

// lanesFiles are what a lane may upload, by folder and by kind of file. Pages and
// METADATA files are the operator's.
func (a *account) lanesFiles() values {
	var all []string
	for _, channel := range layout.Channels() {
		wheels, archives := layout.WheelPrefix(laneTag, channel), layout.LibtorchPrefix(laneTag, channel)
		for _, key := range []string{wheels + "*.whl", wheels + "*.whl" + layout.ProvenanceSuffix, archives + "*.zip", archives + "*.zip" + layout.ProvenanceSuffix} {
			all = append(all, a.object(a.bucket, key))
		}
	}
	return setOf(all...)
}

// publicFolders are what everybody may read.
var publicFolders = []string{"libtorch/*", "platforms/*", "whl/*"}

// ownFolders are the folders of PyTorch's own builds, in every place where a lane
// of the same name would have its folders.
func (a *account) ownFolders() []string {
	var folders []string
	for _, name := range slices.Concat(claim.OwnPatterns(), a.cfg.ReservedPlatforms) {
		for _, channel := range layout.Channels() {
			folders = append(folders, layout.WheelPrefix(name, channel)+"*", layout.LibtorchPrefix(name, channel)+"*")
		}
	}
	return folders
}
