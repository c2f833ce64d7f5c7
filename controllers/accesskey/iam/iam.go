package iam

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/pytorch/platform-lane-operator/controllers/access"
	"github.com/pytorch/platform-lane-operator/controllers/accesskey"
)

// The defaults of [Config].
const (
	DefaultCallTimeout = 30 * time.Second
	DefaultMaxAttempts = 4

	maxBackoff = 5 * time.Second
	// maxPages bounds a listing; IAM lets a user have far fewer policies.
	maxPages = 10
)

// Config says how to reach IAM.
type Config struct {
	// Endpoint replaces IAM's own.
	Endpoint string
	// CallTimeout bounds one call of the port, with all requests and retries.
	CallTimeout time.Duration
	// MaxAttempts bounds how often a request is sent.
	MaxAttempts int
}

// Users keeps users in IAM.
type Users struct {
	cfg    Config
	client *awsiam.Client
}

var _ accesskey.Users = (*Users)(nil)

// New makes the adapter with the credentials, region and HTTP client of loaded.
// It sends no request.
func New(loaded aws.Config, cfg Config) (*Users, error) {
	if cfg.CallTimeout < 0 || cfg.MaxAttempts < 0 {
		return nil, errors.New("access keys: timeout and attempts may not be negative")
	}
	if cfg.CallTimeout == 0 {
		cfg.CallTimeout = DefaultCallTimeout
	}
	if cfg.MaxAttempts == 0 {
		cfg.MaxAttempts = DefaultMaxAttempts
	}
	client := awsiam.NewFromConfig(loaded, func(o *awsiam.Options) {
		if cfg.Endpoint != "" {
			o.BaseEndpoint = aws.String(cfg.Endpoint)
		}
		o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts = cfg.MaxAttempts
			o.MaxBackoff = maxBackoff
		})
	})
	return &Users{cfg: cfg, client: client}, nil
}

// Ensure implements accesskey.Users.
func (u *Users) Ensure(ctx context.Context, want access.User) ([]accesskey.Key, error) {
	ctx, cancel := context.WithTimeout(ctx, u.cfg.CallTimeout)
	defer cancel()
	live, err := u.get(ctx, want.Name)
	if err != nil {
		return nil, err
	}
	var keys []accesskey.Key
	if live == nil {
		err = u.create(ctx, want)
	} else if err = mine(live, want); err == nil {
		keys, err = u.mend(ctx, live, want)
	}
	if errors.Is(err, accesskey.ErrNotFound) { // IAM's reads and writes catch up with one another in seconds.
		err = fmt.Errorf("%w: %w", accesskey.ErrUnavailable, err)
	}
	return keys, err
}

// mine says why a live user is not the one that is wanted, if so.
func mine(live *types.User, want access.User) error {
	foreign := func(format string, args ...any) error {
		return &accesskey.Error{Op: "GetUser", User: want.Name, Kind: accesskey.ErrForeign, Cause: fmt.Errorf(format, args...)}
	}
	if !want.Owns(tagsOf(live)) {
		return foreign("its tags are %s; delete the user, or choose another roles.prefix in the operator's configuration", describe(tagsOf(live)))
	}
	if arn := aws.ToString(live.Arn); arn != want.ARN {
		return foreign("it is %s and not %s: roles.path of the operator's configuration was changed; change it back, or delete the user", arn, want.ARN)
	}
	return nil
}

func (u *Users) create(ctx context.Context, want access.User) error {
	in := &awsiam.CreateUserInput{UserName: &want.Name, Path: &want.Path, Tags: tags(want)}
	if want.BoundaryARN != "" {
		in.PermissionsBoundary = &want.BoundaryARN
	}
	if _, err := u.client.CreateUser(ctx, in); err != nil {
		return failure("CreateUser", want.Name, err)
	}
	return u.putPolicy(ctx, want)
}

// mend makes an existing user what it should be: what it may do comes first.
func (u *Users) mend(ctx context.Context, live *types.User, want access.User) ([]accesskey.Key, error) {
	if err := u.mendPolicies(ctx, want); err != nil {
		return nil, err
	}
	boundary := ""
	if live.PermissionsBoundary != nil {
		boundary = aws.ToString(live.PermissionsBoundary.PermissionsBoundaryArn)
	}
	if want.BoundaryARN != "" && boundary != want.BoundaryARN {
		if _, err := u.client.PutUserPermissionsBoundary(ctx, &awsiam.PutUserPermissionsBoundaryInput{UserName: &want.Name, PermissionsBoundary: &want.BoundaryARN}); err != nil {
			return nil, failure("PutUserPermissionsBoundary", want.Name, err)
		}
	}
	have := tagsOf(live)
	if slices.ContainsFunc(want.Tags, func(t access.Tag) bool { return !slices.Contains(have, t) }) {
		if _, err := u.client.TagUser(ctx, &awsiam.TagUserInput{UserName: &want.Name, Tags: tags(want)}); err != nil {
			return nil, failure("TagUser", want.Name, err)
		}
	}
	return u.keys(ctx, want.Name)
}

// mendPolicies leaves the one inline policy. Others go first: IAM bounds the size
// of all of them together.
func (u *Users) mendPolicies(ctx context.Context, want access.User) error {
	own, err := u.strip(ctx, want.Name, want.InlinePolicy.Name)
	if err != nil {
		return err
	}
	if !own {
		return u.putPolicy(ctx, want)
	}
	out, err := u.client.GetUserPolicy(ctx, &awsiam.GetUserPolicyInput{UserName: &want.Name, PolicyName: &want.InlinePolicy.Name})
	if err != nil {
		return failure("GetUserPolicy", want.Name, err)
	}
	// IAM answers with percent-encoded JSON. What cannot be read differs.
	if document, err := url.PathUnescape(aws.ToString(out.PolicyDocument)); err == nil && document == want.InlinePolicy.Document {
		return nil
	}
	return u.putPolicy(ctx, want)
}

// strip removes all policies of a user but the inline policy keep, and says
// whether that one is there.
func (u *Users) strip(ctx context.Context, user, keep string) (kept bool, err error) {
	inline := awsiam.NewListUserPoliciesPaginator(u.client, &awsiam.ListUserPoliciesInput{UserName: &user})
	for range maxPages {
		if !inline.HasMorePages() {
			break
		}
		page, err := inline.NextPage(ctx)
		if err != nil {
			return false, failure("ListUserPolicies", user, err)
		}
		for _, name := range page.PolicyNames {
			if name == keep {
				kept = true
				continue
			}
			if _, err := u.client.DeleteUserPolicy(ctx, &awsiam.DeleteUserPolicyInput{UserName: &user, PolicyName: &name}); ignoreGone(err) != nil {
				return false, failure("DeleteUserPolicy", user, err)
			}
		}
	}
	attached := awsiam.NewListAttachedUserPoliciesPaginator(u.client, &awsiam.ListAttachedUserPoliciesInput{UserName: &user})
	for range maxPages {
		if !attached.HasMorePages() {
			break
		}
		page, err := attached.NextPage(ctx)
		if err != nil {
			return false, failure("ListAttachedUserPolicies", user, err)
		}
		for _, p := range page.AttachedPolicies {
			if _, err := u.client.DetachUserPolicy(ctx, &awsiam.DetachUserPolicyInput{UserName: &user, PolicyArn: p.PolicyArn}); ignoreGone(err) != nil {
				return false, failure("DetachUserPolicy", user, err)
			}
		}
	}
	return kept, nil
}

func (u *Users) putPolicy(ctx context.Context, want access.User) error {
	_, err := u.client.PutUserPolicy(ctx, &awsiam.PutUserPolicyInput{
		UserName: &want.Name, PolicyName: &want.InlinePolicy.Name, PolicyDocument: &want.InlinePolicy.Document,
	})
	return failure("PutUserPolicy", want.Name, err)
}

// keys are two at most: one page.
func (u *Users) keys(ctx context.Context, user string) ([]accesskey.Key, error) {
	out, err := u.client.ListAccessKeys(ctx, &awsiam.ListAccessKeysInput{UserName: &user})
	if err != nil {
		return nil, failure("ListAccessKeys", user, err)
	}
	keys := make([]accesskey.Key, 0, len(out.AccessKeyMetadata))
	for _, k := range out.AccessKeyMetadata {
		if k.AccessKeyId == nil || k.CreateDate == nil {
			return nil, &accesskey.Error{Op: "ListAccessKeys", User: user, Kind: accesskey.ErrUnavailable, Cause: errors.New("the answer holds a key without id or date")}
		}
		keys = append(keys, accesskey.Key{ID: *k.AccessKeyId, Created: k.CreateDate.UTC(), Active: k.Status == types.StatusTypeActive})
	}
	return keys, nil
}

// CreateKey implements accesskey.Users. It sends its request once: a repetition
// whose first answer was lost would make a second key.
func (u *Users) CreateKey(ctx context.Context, user string) (accesskey.Credential, error) {
	ctx, cancel := context.WithTimeout(ctx, u.cfg.CallTimeout)
	defer cancel()
	once := func(o *awsiam.Options) { o.Retryer = aws.NopRetryer{} }
	out, err := u.client.CreateAccessKey(ctx, &awsiam.CreateAccessKeyInput{UserName: &user}, once)
	if err != nil {
		return accesskey.Credential{}, failure("CreateAccessKey", user, err)
	}
	k := out.AccessKey
	if k == nil || k.AccessKeyId == nil || k.SecretAccessKey == nil || k.CreateDate == nil {
		return accesskey.Credential{}, &accesskey.Error{Op: "CreateAccessKey", User: user, Kind: accesskey.ErrUnavailable, Cause: errors.New("the answer holds no complete key")}
	}
	return accesskey.Credential{
		Key:    accesskey.Key{ID: *k.AccessKeyId, Created: k.CreateDate.UTC(), Active: k.Status == types.StatusTypeActive},
		Secret: *k.SecretAccessKey,
	}, nil
}

// SetActive implements accesskey.Users.
func (u *Users) SetActive(ctx context.Context, user, keyID string, active bool) error {
	ctx, cancel := context.WithTimeout(ctx, u.cfg.CallTimeout)
	defer cancel()
	status := types.StatusTypeInactive
	if active {
		status = types.StatusTypeActive
	}
	_, err := u.client.UpdateAccessKey(ctx, &awsiam.UpdateAccessKeyInput{UserName: &user, AccessKeyId: &keyID, Status: status})
	return failure("UpdateAccessKey", user, err)
}

// DeleteKey implements accesskey.Users.
func (u *Users) DeleteKey(ctx context.Context, user, keyID string) error {
	ctx, cancel := context.WithTimeout(ctx, u.cfg.CallTimeout)
	defer cancel()
	return u.deleteKey(ctx, user, keyID)
}

func (u *Users) deleteKey(ctx context.Context, user, keyID string) error {
	_, err := u.client.DeleteAccessKey(ctx, &awsiam.DeleteAccessKeyInput{UserName: &user, AccessKeyId: &keyID})
	return failure("DeleteAccessKey", user, ignoreGone(err))
}

// Delete implements accesskey.Users: the keys first, so that they are dead even
// if the rest has to wait.
func (u *Users) Delete(ctx context.Context, own access.User) error {
	ctx, cancel := context.WithTimeout(ctx, u.cfg.CallTimeout)
	defer cancel()
	live, err := u.get(ctx, own.Name)
	if err != nil || live == nil || !own.Owns(tagsOf(live)) {
		return err
	}
	keys, err := u.keys(ctx, own.Name)
	if errors.Is(err, accesskey.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, k := range keys {
		if err := u.deleteKey(ctx, own.Name, k.ID); err != nil {
			return err
		}
	}
	if _, err := u.strip(ctx, own.Name, ""); err != nil {
		return err
	}
	_, err = u.client.DeleteUser(ctx, &awsiam.DeleteUserInput{UserName: &own.Name})
	return failure("DeleteUser", own.Name, ignoreGone(err))
}

// get is nil without an error if there is no such user.
func (u *Users) get(ctx context.Context, name string) (*types.User, error) {
	out, err := u.client.GetUser(ctx, &awsiam.GetUserInput{UserName: &name})
	if errors.Is(kindOf(err), accesskey.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, failure("GetUser", name, err)
	}
	if out.User == nil {
		return nil, &accesskey.Error{Op: "GetUser", User: name, Kind: accesskey.ErrUnavailable, Cause: errors.New("the answer names no user")}
	}
	return out.User, nil
}

func tagsOf(live *types.User) []access.Tag {
	out := make([]access.Tag, len(live.Tags))
	for i, t := range live.Tags {
		out[i] = access.Tag{Key: aws.ToString(t.Key), Value: aws.ToString(t.Value)}
	}
	return out
}

func tags(u access.User) []types.Tag {
	out := make([]types.Tag, len(u.Tags))
	for i, t := range u.Tags {
		out[i] = types.Tag{Key: aws.String(t.Key), Value: aws.String(t.Value)}
	}
	return out
}

// describe shows whose a user is; other tags are nobody's business.
func describe(live []access.Tag) string {
	var out []string
	for _, t := range live {
		if slices.Contains([]string{access.TagLaneResource, access.TagCluster, access.TagManagedBy}, t.Key) {
			out = append(out, fmt.Sprintf("%s=%q", t.Key, t.Value))
		}
	}
	if len(out) == 0 {
		return "not those of a lane"
	}
	return strings.Join(out, ", ")
}
