// Package operatorconfig reads the operator's one configuration file: strict,
// versioned, and checked as a whole before anything starts. It is pure.
package operatorconfig

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// APIVersion and Kind are what the file must say it is.
const (
	APIVersion = "config.distribution.pytorch.org/v1alpha1"
	Kind       = "OperatorConfiguration"
)

// maxFile bounds the file, in bytes.
const maxFile = 1 << 20

// maxDependencyPage is the most that limits.dependencyPageBytes may be.
const maxDependencyPage = 100 << 20

// GitHubIssuer is the token issuer of GitHub Actions.
const GitHubIssuer = "https://token.actions.githubusercontent.com"

// Config is the file.
type Config struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`

	// ClusterID tells this cluster from others that use the same bucket. Left
	// empty, it is the UID of the kube-system namespace.
	ClusterID string `json:"clusterID,omitempty"`

	AWS     AWS      `json:"aws"`
	Storage Store    `json:"storage"`
	Mirrors []Mirror `json:"mirrors,omitempty"`
	CDN     CDN      `json:"cdn,omitzero"`
	Roles   Roles    `json:"roles,omitzero"`
	// Provenance says what attestations are verified against.
	Provenance Provenance `json:"provenance,omitzero"`
	// AccessKeys says whether lanes may publish with access keys.
	AccessKeys AccessKeys `json:"accessKeys,omitzero"`
	// GitHubIssuer is where GitHub Actions' tokens come from; another one only
	// on GitHub Enterprise.
	GitHubIssuer string `json:"gitHubIssuer,omitempty"`
	// OIDCProviders are the token issuers that the account trusts.
	OIDCProviders []OIDCProvider `json:"oidcProviders"`
	Events        Events         `json:"events,omitzero"`
	Limits        Limits         `json:"limits,omitzero"`
	// DependencyIndexURLs are the indexes that spec.dependencies may name.
	DependencyIndexURLs []string `json:"dependencyIndexURLs,omitempty"`
	// ReservedPlatforms are names that no lane may have, beside the built-in
	// ones.
	ReservedPlatforms []string `json:"reservedPlatforms,omitempty"`
}

// AWS names the account that holds the roles.
type AWS struct {
	// AccountID has 12 digits.
	AccountID string `json:"accountID"`
	Region    string `json:"region"`
	// Partition is aws unless the account lies in another one.
	Partition string `json:"partition,omitempty"`
}

// Store is a bucket and where the public sees it.
type Store struct {
	Bucket string `json:"bucket"`
	// Region of the bucket; that of aws if left out.
	Region string `json:"region,omitempty"`
	// Endpoint of an S3-compatible store; AWS if left out.
	Endpoint string `json:"endpoint,omitempty"`
	// CredentialsFile is a shared credentials file (AWS' format); the default
	// chain (IRSA, environment) if left out.
	CredentialsFile string `json:"credentialsFile,omitempty"`
	// PublicBaseURLs are the addresses of the bucket's top folder for
	// everybody. The first is the one users are told.
	PublicBaseURLs []string `json:"publicBaseURLs"`
	// ConditionalWrites says whether IAM knows the condition key
	// s3:if-none-match here, so that uploads can be made write-once.
	ConditionalWrites Support `json:"conditionalWrites,omitempty"`
}

// Support says whether a store knows a feature.
type Support string

// What a Support may be.
const (
	Supported   Support = "Supported"
	Unsupported Support = "Unsupported"
)

// Mirror is a second store that serves the same bytes.
type Mirror struct {
	// Name tells mirrors apart in messages.
	Name  string `json:"name"`
	Store `json:",inline"`
}

// CDN is what stands in front of the primary store.
type CDN struct {
	// CloudFrontDistributionID is empty where there is no CDN.
	CloudFrontDistributionID string `json:"cloudFrontDistributionID,omitempty"`
	// Endpoint of the CloudFront API; AWS if left out.
	Endpoint string `json:"endpoint,omitempty"`
	// CredentialsFile as in storage.
	CredentialsFile string `json:"credentialsFile,omitempty"`
}

// Roles say how the lanes' IAM roles are made.
type Roles struct {
	// Path of all roles. It cannot be changed while there are lanes.
	Path string `json:"path,omitempty"`
	// Prefix of all role names. It cannot be changed while there are lanes.
	Prefix string `json:"prefix,omitempty"`
	// PermissionsBoundaryARN is put on every role.
	PermissionsBoundaryARN string `json:"permissionsBoundaryARN,omitempty"`
	// MaxSessionSeconds is how long a session may last: 3,600 to 43,200.
	MaxSessionSeconds int32 `json:"maxSessionSeconds,omitempty"`
	// TrustPolicyQuota is the account's limit, in characters: 2,048 unless AWS
	// has raised it.
	TrustPolicyQuota int `json:"trustPolicyQuota,omitempty"`
}

// Provenance says what the attestations beside files (PEP 740) are verified
// against. Nothing is asked of the network.
type Provenance struct {
	// TrustedRootFile is Sigstore's trusted_root.json, as
	// `gh attestation trusted-root` writes it. Without one attestations are neither
	// verified nor linked, and a lane that requires them lists nothing.
	TrustedRootFile string `json:"trustedRootFile,omitempty"`
}

// AccessKeys are the fallback for CI without OIDC. They take rights in IAM, and in
// vendors' namespaces, that the operator does not need otherwise: see
// config/rbac/access_key_secrets_role.yaml.
type AccessKeys struct {
	// Mode is Disabled if left out.
	Mode AccessKeyMode `json:"mode,omitempty"`
	// Endpoint of the IAM API; AWS if left out.
	Endpoint string `json:"endpoint,omitempty"`
	// CredentialsFile as in storage.
	CredentialsFile string `json:"credentialsFile,omitempty"`
}

// AccessKeyMode says whether access keys are handed out.
type AccessKeyMode string

// What an AccessKeyMode may be.
const (
	// AccessKeysDisabled: accessKey publishers are refused, and IAM is never
	// called.
	AccessKeysDisabled AccessKeyMode = "Disabled"
	// AccessKeysEnabled: the operator keeps an IAM user for each lane with an
	// accessKey publisher.
	AccessKeysEnabled AccessKeyMode = "Enabled"
)

// OIDCProvider is a token issuer that IAM knows.
type OIDCProvider struct {
	Issuer string `json:"issuer"`
	// ARN of the provider; made from the account and the issuer if left out.
	ARN string `json:"arn,omitempty"`
	// Claims are claims, beside sub and aud, that AWS evaluates of this issuer and
	// that the operator does not know of: a condition on any other would lock its
	// publisher out.
	Claims []string `json:"claims,omitempty"`
}

// Events say where changes in the bucket are announced. Without a queue the
// operator polls.
type Events struct {
	QueueURL        string `json:"queueURL,omitempty"`
	Endpoint        string `json:"endpoint,omitempty"`
	CredentialsFile string `json:"credentialsFile,omitempty"`
}

// Limits bound what the operator does at once and how often.
type Limits struct {
	// PollSeconds is how often a lane is listed without an event. Default 300.
	PollSeconds int64 `json:"pollSeconds,omitempty"`
	// MaxFileBytes is the largest file that may be listed. Default 20 GiB.
	MaxFileBytes int64 `json:"maxFileBytes,omitempty"`
	// LanesAtOnce is how many lanes are indexed in parallel. Default 4.
	LanesAtOnce int `json:"lanesAtOnce,omitempty"`
	// FilesAtOnce is how many files are judged in parallel, over all lanes.
	// Default 8.
	FilesAtOnce int `json:"filesAtOnce,omitempty"`
	// RetentionPreviewHours is how long files that a lane no longer keeps are on
	// show in its status before they leave the index. Default 24.
	RetentionPreviewHours int64 `json:"retentionPreviewHours,omitempty"`
	// YanksAtOnce is how many Yanks are worked on in parallel. Default 4.
	YanksAtOnce int `json:"yanksAtOnce,omitempty"`
	// ProbeTimeoutSeconds bounds one probe of a public URL. Default 30.
	ProbeTimeoutSeconds int64 `json:"probeTimeoutSeconds,omitempty"`
	// DependencyRefreshMinutes is how often the page of a dependency is asked for
	// at its index. Default 60.
	DependencyRefreshMinutes int64 `json:"dependencyRefreshMinutes,omitempty"`
	// DependencyPageBytes is the largest page of a dependency. Default 100 MiB.
	DependencyPageBytes int64 `json:"dependencyPageBytes,omitempty"`
}

// Poll is PollSeconds as a duration.
func (l Limits) Poll() time.Duration { return time.Duration(l.PollSeconds) * time.Second }

// RetentionPreview is RetentionPreviewHours as a duration.
func (l Limits) RetentionPreview() time.Duration {
	return time.Duration(l.RetentionPreviewHours) * time.Hour
}

// DependencyRefresh is DependencyRefreshMinutes as a duration.
func (l Limits) DependencyRefresh() time.Duration {
	return time.Duration(l.DependencyRefreshMinutes) * time.Minute
}

// ProbeTimeout is ProbeTimeoutSeconds as a duration.
func (l Limits) ProbeTimeout() time.Duration {
	return time.Duration(l.ProbeTimeoutSeconds) * time.Second
}

// Load reads and checks the file. The error names every field that is wrong.
func Load(path string) (*Config, error) {
	f, err := os.Open(path) //nolint:gosec // whoever starts the operator names its file
	if err != nil {
		return nil, fmt.Errorf("configuration: %w; pass the file with --config", err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("more than %d bytes, at most that many are read", maxFile)
	}
	if err != nil {
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	cfg, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	return cfg, nil
}

// Parse reads and checks the content of the file, YAML or JSON.
func Parse(data []byte) (*Config, error) {
	raw, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return nil, err
	}
	var cfg Config
	strict, err := json.UnmarshalStrict(raw, &cfg)
	if err != nil {
		return nil, err
	}
	if len(strict) > 0 {
		return nil, fmt.Errorf("%w; correct or remove it (field names are case-sensitive)", errors.Join(strict...))
	}
	cfg.setDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &cfg, nil
}

func (c *Config) setDefaults() {
	setDefault(&c.AWS.Partition, "aws")
	setDefault(&c.GitHubIssuer, GitHubIssuer)
	setDefault(&c.Storage.Region, c.AWS.Region)
	setDefault(&c.Storage.ConditionalWrites, Supported)
	for i := range c.Mirrors {
		setDefault(&c.Mirrors[i].Region, c.AWS.Region)
		setDefault(&c.Mirrors[i].ConditionalWrites, Supported)
	}
	setDefault(&c.Roles.Path, "/platform-lanes/")
	setDefault(&c.Roles.Prefix, "platform-lane-")
	setDefault(&c.Roles.MaxSessionSeconds, 3600)
	setDefault(&c.Roles.TrustPolicyQuota, 2048)
	setDefault(&c.AccessKeys.Mode, AccessKeysDisabled)
	setDefault(&c.Limits.PollSeconds, 300)
	setDefault(&c.Limits.MaxFileBytes, 20<<30)
	setDefault(&c.Limits.LanesAtOnce, 4)
	setDefault(&c.Limits.FilesAtOnce, 8)
	setDefault(&c.Limits.RetentionPreviewHours, 24)
	setDefault(&c.Limits.YanksAtOnce, 4)
	setDefault(&c.Limits.ProbeTimeoutSeconds, 30)
	setDefault(&c.Limits.DependencyRefreshMinutes, 60)
	setDefault(&c.Limits.DependencyPageBytes, maxDependencyPage)
	for i, p := range c.OIDCProviders {
		host := strings.TrimPrefix(strings.TrimPrefix(p.Issuer, "https://"), "http://")
		setDefault(&c.OIDCProviders[i].ARN, fmt.Sprintf("arn:%s:iam::%s:oidc-provider/%s", c.AWS.Partition, c.AWS.AccountID, host))
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

var (
	accountRE = regexp.MustCompile(`^[0-9]{12}$`)
	bucketRE  = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	regionRE  = regexp.MustCompile(`^[a-z0-9-]{2,32}$`)
	pathRE    = regexp.MustCompile(`^/([A-Za-z0-9_.-]+/)*$`)
	prefixRE  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
	nameRE    = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)
	claimRE   = regexp.MustCompile(`^[a-z][a-z0-9_.-]{0,63}(?:/[a-z][a-z0-9_-]{0,63})?$`)
	arnRE     = regexp.MustCompile(`^arn:[a-z-]+:iam::[0-9]{12}:[A-Za-z0-9_./:-]+$`)
)

// problems collects what is wrong, each with the field's path.
type problems []error

func (p *problems) check(ok bool, field, format string, args ...any) {
	if !ok {
		*p = append(*p, fmt.Errorf("%s: %s", field, fmt.Sprintf(format, args...)))
	}
}

func (c *Config) validate() error {
	var p problems
	p.check(c.APIVersion == APIVersion, "apiVersion", "must be %s, is %q", APIVersion, c.APIVersion)
	p.check(c.Kind == Kind, "kind", "must be %s, is %q", Kind, c.Kind)
	p.check(accountRE.MatchString(c.AWS.AccountID), "aws.accountID", "must be the 12 digits of the AWS account (quoted), is %q", c.AWS.AccountID)
	p.check(regionRE.MatchString(c.AWS.Region), "aws.region", "must be a region like us-east-1, is %q", c.AWS.Region)
	p.check(slices.Contains([]string{"aws", "aws-cn", "aws-us-gov"}, c.AWS.Partition), "aws.partition", "must be aws, aws-cn or aws-us-gov, is %q", c.AWS.Partition)
	c.Storage.validate("storage", &p)
	names := map[string]bool{"primary": true}
	for i, m := range c.Mirrors {
		field := fmt.Sprintf("mirrors[%d]", i)
		p.check(nameRE.MatchString(m.Name), field+".name", "must be lower-case letters, digits and hyphens, is %q", m.Name)
		p.check(!names[m.Name], field+".name", "%q is taken; every store needs a name of its own", m.Name)
		names[m.Name] = true
		m.validate(field, &p)
		p.check(m.Bucket != c.Storage.Bucket || m.Endpoint != c.Storage.Endpoint, field, "is the primary store itself; remove it")
	}
	checkURL(&p, "cdn.endpoint", c.CDN.Endpoint)
	c.Roles.validate(&p)
	c.AccessKeys.validate(&p)
	checkURL(&p, "gitHubIssuer", c.GitHubIssuer)
	for i, provider := range c.OIDCProviders {
		field := fmt.Sprintf("oidcProviders[%d]", i)
		p.check(provider.Issuer != "", field+".issuer", "is missing; give the URL as it stands in the tokens' iss claim")
		checkURL(&p, field+".issuer", provider.Issuer)
		p.check(arnRE.MatchString(provider.ARN), field+".arn", "must be the ARN of an IAM OIDC provider, is %q", provider.ARN)
		for j, claim := range provider.Claims {
			at := fmt.Sprintf("%s.claims[%d]", field, j)
			p.check(claimRE.MatchString(claim), at, "must be the name of a claim like project_id, is %q", claim)
			p.check(claim != "sub" && claim != "aud" && claim != "iss", at, "%s is always evaluated; remove it", claim)
			p.check(!slices.Contains(provider.Claims[:j], claim), at, "%s is listed twice; remove it", claim)
		}
	}
	checkURL(&p, "events.queueURL", c.Events.QueueURL)
	checkURL(&p, "events.endpoint", c.Events.Endpoint)
	c.Limits.validate(&p)
	for i, u := range c.DependencyIndexURLs {
		checkURL(&p, fmt.Sprintf("dependencyIndexURLs[%d]", i), u)
	}
	return errors.Join(p...)
}

func (s *Store) validate(field string, p *problems) {
	p.check(bucketRE.MatchString(s.Bucket), field+".bucket", "must be a bucket's name, is %q", s.Bucket)
	p.check(regionRE.MatchString(s.Region), field+".region", "must be a region like us-east-1, is %q", s.Region)
	checkURL(p, field+".endpoint", s.Endpoint)
	p.check(len(s.PublicBaseURLs) > 0, field+".publicBaseURLs", "is empty; a yank could not be verified without the addresses users fetch from")
	for i, u := range s.PublicBaseURLs {
		p.check(u != "", fmt.Sprintf("%s.publicBaseURLs[%d]", field, i), "is empty")
		checkURL(p, fmt.Sprintf("%s.publicBaseURLs[%d]", field, i), u)
	}
	p.check(s.ConditionalWrites == Supported || s.ConditionalWrites == Unsupported, field+".conditionalWrites", "must be Supported or Unsupported, is %q", s.ConditionalWrites)
}

func (r *Roles) validate(p *problems) {
	p.check(pathRE.MatchString(r.Path), "roles.path", "must begin and end with a slash, is %q", r.Path)
	p.check(prefixRE.MatchString(r.Prefix), "roles.prefix", "must be 1 to 32 lower-case letters, digits and hyphens, because it begins the names of IAM roles and of Role resources; is %q", r.Prefix)
	p.check(r.PermissionsBoundaryARN == "" || arnRE.MatchString(r.PermissionsBoundaryARN), "roles.permissionsBoundaryARN", "must be the ARN of an IAM policy, is %q", r.PermissionsBoundaryARN)
	p.check(r.MaxSessionSeconds >= 3600 && r.MaxSessionSeconds <= 43200, "roles.maxSessionSeconds", "must be between 3600 and 43200, is %d", r.MaxSessionSeconds)
	p.check(r.TrustPolicyQuota >= 2048 && r.TrustPolicyQuota <= 8192, "roles.trustPolicyQuota", "must be between 2048 and 8192, is %d", r.TrustPolicyQuota)
}

func (a *AccessKeys) validate(p *problems) {
	p.check(a.Mode == AccessKeysEnabled || a.Mode == AccessKeysDisabled, "accessKeys.mode", "must be Enabled or Disabled, is %q", a.Mode)
	checkURL(p, "accessKeys.endpoint", a.Endpoint)
}

func (l *Limits) validate(p *problems) {
	p.check(l.PollSeconds >= 1 && l.PollSeconds <= 86400, "limits.pollSeconds", "must be between 1 and 86400, is %d", l.PollSeconds)
	p.check(l.MaxFileBytes >= 1, "limits.maxFileBytes", "must be positive, is %d", l.MaxFileBytes)
	p.check(l.LanesAtOnce >= 1 && l.LanesAtOnce <= 256, "limits.lanesAtOnce", "must be between 1 and 256, is %d", l.LanesAtOnce)
	p.check(l.FilesAtOnce >= 1 && l.FilesAtOnce <= 256, "limits.filesAtOnce", "must be between 1 and 256, is %d", l.FilesAtOnce)
	p.check(l.RetentionPreviewHours >= 1 && l.RetentionPreviewHours <= 720, "limits.retentionPreviewHours", "must be between 1 and 720, is %d", l.RetentionPreviewHours)
	p.check(l.YanksAtOnce >= 1 && l.YanksAtOnce <= 256, "limits.yanksAtOnce", "must be between 1 and 256, is %d", l.YanksAtOnce)
	p.check(l.DependencyRefreshMinutes >= 5 && l.DependencyRefreshMinutes <= 10080, "limits.dependencyRefreshMinutes", "must be between 5 and 10080, is %d", l.DependencyRefreshMinutes)
	p.check(l.DependencyPageBytes >= 1024 && l.DependencyPageBytes <= maxDependencyPage, "limits.dependencyPageBytes", "must be between 1024 and %d, is %d", maxDependencyPage, l.DependencyPageBytes)
	p.check(l.ProbeTimeoutSeconds >= 1 && l.ProbeTimeoutSeconds <= 600, "limits.probeTimeoutSeconds", "must be between 1 and 600, is %d", l.ProbeTimeoutSeconds)
}

func checkURL(p *problems, field, value string) {
	if value == "" {
		return
	}
	u, err := url.Parse(value)
	ok := err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
	shown := "not a URL"
	if err == nil {
		shown = u.Redacted() // Never a password in a log.
	}
	p.check(ok, field, "must be a plain http or https URL without user name, query or fragment, is %q", shown)
}
