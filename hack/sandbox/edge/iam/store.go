package iam

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/versity/versitygw/iamapi/storage"
	"github.com/versity/versitygw/iamapi/types"
)

// Store is versitygw's file-backed IAM storage plus the attributes of a role or
// user that it has no call to change (description, session duration) or no field
// for (permissions boundary). Everything in this process shares one Store: two
// writers of versitygw's file would lose each other's updates.
type Store struct {
	storage.Storer

	path string
	mu   sync.Mutex
	// extras is keyed by RoleId or UserId, so that a role or user created anew
	// under an old name inherits nothing.
	extras map[string]extra
	// managed is keyed by user name; see AttachManagedPolicies.
	managed map[string][]types.PolicyEntry
}

type extra struct {
	Description         *string `json:"description,omitempty"`
	MaxSessionDuration  int32   `json:"maxSessionDuration,omitempty"` // seconds
	PermissionsBoundary string  `json:"permissionsBoundary,omitempty"`
}

// OpenStore opens, or starts, the account's IAM state below dir.
func OpenStore(dir string) (*Store, error) {
	inner, err := openSharded(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{Storer: inner, path: filepath.Join(dir, "role-extras.json"), extras: map[string]extra{}}
	raw, err := os.ReadFile(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", s.path, err)
	default:
		if err := json.Unmarshal(raw, &s.extras); err != nil {
			return nil, fmt.Errorf("%s: %w", s.path, err)
		}
	}
	return s, nil
}

func (s *Store) save() error {
	raw, err := json.Marshal(s.extras)
	if err != nil {
		return err
	}
	tmp := s.path + ".tmp"
	if err := os.WriteFile(tmp, raw, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, s.path)
}

func (s *Store) overlay(r *types.Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.extras[r.RoleID]
	if kept.Description != nil {
		r.Description = *kept.Description
	}
	if kept.MaxSessionDuration != 0 {
		r.MaxSessionDuration = kept.MaxSessionDuration
	}
}

// GetRole implements storage.Storer.
func (s *Store) GetRole(ctx context.Context, name string) (*types.Role, error) {
	role, err := s.Storer.GetRole(ctx, name)
	if err != nil {
		return nil, err
	}
	s.overlay(role)
	return role, nil
}

// ListRoles implements storage.Storer.
func (s *Store) ListRoles(ctx context.Context, input storage.ListRolesInput) (*storage.ListRolesOutput, error) {
	out, err := s.Storer.ListRoles(ctx, input)
	if err != nil {
		return nil, err
	}
	for i := range out.Roles {
		s.overlay(&out.Roles[i])
	}
	return out, nil
}

// DeleteRole implements storage.Storer.
func (s *Store) DeleteRole(ctx context.Context, name string) error {
	role, err := s.Storer.GetRole(ctx, name)
	if err != nil {
		return err
	}
	if err := s.Storer.DeleteRole(ctx, name); err != nil {
		return err
	}
	return s.forget(role.RoleID)
}

// DeleteUser implements storage.Storer.
func (s *Store) DeleteUser(ctx context.Context, name string) error {
	user, err := s.GetUser(ctx, name)
	if err != nil {
		return err
	}
	if err := s.Storer.DeleteUser(ctx, name); err != nil {
		return err
	}
	return s.forget(user.UserID)
}

func (s *Store) forget(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.extras[id]; !ok {
		return nil
	}
	delete(s.extras, id)
	return s.save()
}

// UpdateRole sets a role's description and longest session in seconds; nil and
// 0 leave them as they are.
func (s *Store) UpdateRole(ctx context.Context, name string, description *string, maxSessionDuration int32) error {
	return s.changeRole(ctx, name, func(e *extra) {
		if description != nil {
			e.Description = description
		}
		if maxSessionDuration != 0 {
			e.MaxSessionDuration = maxSessionDuration
		}
	})
}

// SetPermissionsBoundary records a role's boundary; "" removes it. It is
// reported, not enforced: versitygw knows no managed policies.
func (s *Store) SetPermissionsBoundary(ctx context.Context, name, arn string) error {
	return s.changeRole(ctx, name, func(e *extra) { e.PermissionsBoundary = arn })
}

// PermissionsBoundary returns what SetPermissionsBoundary recorded.
func (s *Store) PermissionsBoundary(ctx context.Context, name string) (string, error) {
	role, err := s.Storer.GetRole(ctx, name)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.extras[role.RoleID].PermissionsBoundary, nil
}

// SetUserPermissionsBoundary records a user's boundary, as SetPermissionsBoundary
// does a role's.
func (s *Store) SetUserPermissionsBoundary(ctx context.Context, name, arn string) error {
	user, err := s.GetUser(ctx, name)
	if err != nil {
		return err
	}
	return s.change(user.UserID, func(e *extra) { e.PermissionsBoundary = arn })
}

// UserPermissionsBoundary returns what SetUserPermissionsBoundary recorded.
func (s *Store) UserPermissionsBoundary(ctx context.Context, name string) (string, error) {
	user, err := s.GetUser(ctx, name)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.extras[user.UserID].PermissionsBoundary, nil
}

func (s *Store) changeRole(ctx context.Context, name string, edit func(*extra)) error {
	role, err := s.Storer.GetRole(ctx, name)
	if err != nil {
		return err
	}
	return s.change(role.RoleID, edit)
}

func (s *Store) change(id string, edit func(*extra)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := s.extras[id]
	edit(&changed)
	s.extras[id] = changed
	return s.save()
}
