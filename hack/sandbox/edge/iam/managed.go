package iam

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/versity/versitygw/iamapi/types"
)

// AttachManagedPolicies gives a user policies in place of its own. They stand for
// managed policies, which versitygw does not have: the quota of a user's inline
// policies, a third of theirs, does not count here. They last as long as this
// process and replace those attached before.
func (s *Store) AttachManagedPolicies(user string, documents []json.RawMessage) error {
	entries := make([]types.PolicyEntry, len(documents))
	for i, d := range documents {
		var compact bytes.Buffer
		if err := json.Compact(&compact, d); err != nil {
			return fmt.Errorf("policy %d of %s: %w", i, user, err)
		}
		entries[i] = types.PolicyEntry{PolicyName: fmt.Sprintf("managed-%d", i), PolicyDocument: compact.String()}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.managed == nil {
		s.managed = map[string][]types.PolicyEntry{}
	}
	s.managed[user] = entries
	return nil
}

// GetUserByAccessKeyID implements storage.Storer: whoever asks for a user by a key
// is about to judge a request, by all policies of the user.
func (s *Store) GetUserByAccessKeyID(ctx context.Context, accessKeyID string) (*types.User, error) {
	user, err := s.Storer.GetUserByAccessKeyID(ctx, accessKeyID)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if managed, ok := s.managed[user.UserName]; ok {
		user.Policies.Inline = managed
	}
	return user, nil
}
