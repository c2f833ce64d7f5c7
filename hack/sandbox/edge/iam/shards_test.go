package iam

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/versity/versitygw/iamapi/storage"
	"github.com/versity/versitygw/iamapi/types"
)

// What is spread over many files reads like one, and is there after a restart.
func TestShardsAreOneAccount(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	store, err := openSharded(dir)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for i := range 3 * shards {
		name := fmt.Sprintf("lane-%03d", i)
		want = append(want, name)
		if _, err := store.CreateRole(ctx, types.Role{RoleName: name, Path: "/lanes/", RoleID: "AROA" + name}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := store.CreateRole(ctx, types.Role{RoleName: "LANE-007", Path: "/", RoleID: "AROAother"}); err == nil {
		t.Error("a role was created under a name that differs in case only")
	}
	expires := time.Now().Add(time.Hour)
	if _, err := store.CreateSession(ctx, types.Session{AccessKeyId: "ASIAONE", RoleName: "lane-001", Expiration: expires}); err != nil {
		t.Fatal(err)
	}
	if store, err = openSharded(dir); err != nil {
		t.Fatal(err)
	}
	var got []string
	input := storage.ListRolesInput{PathPrefix: "/lanes/", MaxItems: 100}
	for {
		page, err := store.ListRoles(ctx, input)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Roles {
			got = append(got, r.RoleName)
		}
		if !page.IsTruncated {
			break
		}
		input.Marker = page.Marker
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed %d roles, want %d in order", len(got), len(want))
	}
	if s, err := store.GetSession(ctx, "ASIAONE"); err != nil || s.RoleName != "lane-001" {
		t.Errorf("the session is %v, %v", s, err)
	}
}
