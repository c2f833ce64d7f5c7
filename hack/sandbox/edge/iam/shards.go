package iam

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/versity/versitygw/iamapi/storage"
	"github.com/versity/versitygw/iamapi/types"
)

// shards is into how many files roles and sessions are spread.
const shards = 128

// sharded is versitygw's file-backed storage, many times over: it reads and parses
// a whole file for every question, so that an account of 1,000 roles in one file
// would answer each of ACK's calls in a tenth of a second. Users and OIDC
// providers, which are few, stay in the first file; roles are spread by name and
// sessions by access key.
type sharded struct {
	storage.Storer

	roles, sessions []storage.Storer
}

// openSharded opens, or starts, the files below dir.
func openSharded(dir string) (*sharded, error) {
	open := func(dir string) (storage.Storer, error) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("create the IAM folder: %w", err)
		}
		s, err := storage.NewInternal(dir)
		if err != nil {
			return nil, fmt.Errorf("open IAM state in %s: %w", dir, err)
		}
		return s, nil
	}
	first, err := open(dir)
	if err != nil {
		return nil, err
	}
	s := &sharded{Storer: first}
	for kind, files := range map[string]*[]storage.Storer{"roles": &s.roles, "sessions": &s.sessions} {
		for i := range shards {
			file, err := open(filepath.Join(dir, kind, fmt.Sprintf("%02x", i)))
			if err != nil {
				return nil, err
			}
			*files = append(*files, file)
		}
	}
	return s, nil
}

// pick chooses the file of a name. IAM's names are told apart without regard to
// case.
func pick(files []storage.Storer, name string) storage.Storer {
	h := fnv.New32a()
	_, _ = h.Write([]byte(strings.ToLower(name)))
	return files[h.Sum32()%shards]
}

func (s *sharded) role(name string) storage.Storer { return pick(s.roles, name) }

// CreateRole implements storage.Storer.
func (s *sharded) CreateRole(ctx context.Context, role types.Role) (*types.Role, error) {
	return s.role(role.RoleName).CreateRole(ctx, role)
}

// GetRole implements storage.Storer.
func (s *sharded) GetRole(ctx context.Context, name string) (*types.Role, error) {
	return s.role(name).GetRole(ctx, name)
}

// ListRoles implements storage.Storer.
func (s *sharded) ListRoles(ctx context.Context, input storage.ListRolesInput) (*storage.ListRolesOutput, error) {
	var all []types.Role
	for _, file := range s.roles {
		out, err := file.ListRoles(ctx, storage.ListRolesInput{PathPrefix: input.PathPrefix})
		if err != nil {
			return nil, err
		}
		all = append(all, out.Roles...)
	}
	slices.SortFunc(all, func(a, b types.Role) int { return cmp.Compare(a.RoleName, b.RoleName) })
	if input.Marker != "" {
		i := slices.IndexFunc(all, func(r types.Role) bool { return r.RoleName > input.Marker })
		if i < 0 {
			i = len(all)
		}
		all = all[i:]
	}
	out := &storage.ListRolesOutput{Roles: all}
	if n := int(input.MaxItems); n > 0 && n < len(all) {
		out.Roles, out.IsTruncated, out.Marker = all[:n], true, all[n-1].RoleName
	}
	return out, nil
}

// DeleteRole implements storage.Storer.
func (s *sharded) DeleteRole(ctx context.Context, name string) error {
	return s.role(name).DeleteRole(ctx, name)
}

// UpdateAssumeRolePolicy implements storage.Storer.
func (s *sharded) UpdateAssumeRolePolicy(ctx context.Context, input storage.UpdateAssumeRolePolicyInput) (*types.Role, error) {
	return s.role(input.RoleName).UpdateAssumeRolePolicy(ctx, input)
}

// RecordRoleUsage implements storage.Storer.
func (s *sharded) RecordRoleUsage(ctx context.Context, name, region string, when time.Time) error {
	return s.role(name).RecordRoleUsage(ctx, name, region, when)
}

// TagRole implements storage.Storer.
func (s *sharded) TagRole(ctx context.Context, name string, tags []types.Tag) error {
	return s.role(name).TagRole(ctx, name, tags)
}

// UntagRole implements storage.Storer.
func (s *sharded) UntagRole(ctx context.Context, name string, keys []string) error {
	return s.role(name).UntagRole(ctx, name, keys)
}

// ListRoleTags implements storage.Storer.
func (s *sharded) ListRoleTags(ctx context.Context, input storage.ListRoleTagsInput) (*storage.ListTagsOutput, error) {
	return s.role(input.RoleName).ListRoleTags(ctx, input)
}

// PutRolePolicy implements storage.Storer.
func (s *sharded) PutRolePolicy(ctx context.Context, input storage.PutRolePolicyInput) error {
	return s.role(input.RoleName).PutRolePolicy(ctx, input)
}

// GetRolePolicy implements storage.Storer.
func (s *sharded) GetRolePolicy(ctx context.Context, role, policy string) (*types.PolicyEntry, error) {
	return s.role(role).GetRolePolicy(ctx, role, policy)
}

// DeleteRolePolicy implements storage.Storer.
func (s *sharded) DeleteRolePolicy(ctx context.Context, role, policy string) error {
	return s.role(role).DeleteRolePolicy(ctx, role, policy)
}

// ListRolePolicies implements storage.Storer.
func (s *sharded) ListRolePolicies(ctx context.Context, input storage.ListRolePoliciesInput) (*storage.ListRolePoliciesOutput, error) {
	return s.role(input.RoleName).ListRolePolicies(ctx, input)
}

// CreateSession implements storage.Storer.
func (s *sharded) CreateSession(ctx context.Context, session types.Session) (*types.Session, error) {
	return pick(s.sessions, session.AccessKeyId).CreateSession(ctx, session)
}

// GetSession implements storage.Storer.
func (s *sharded) GetSession(ctx context.Context, accessKeyID string) (*types.Session, error) {
	return pick(s.sessions, accessKeyID).GetSession(ctx, accessKeyID)
}
