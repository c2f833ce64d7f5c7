package fake_test

import (
	"context"
	"testing"

	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/contract"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
)

func TestContract(t *testing.T) {
	contract.Run(t, contract.Server{NewBucket: func(_ *testing.T, kind contract.Kind) contract.Bucket {
		store := fake.New("wheels")
		switch kind {
		case contract.Unversioned:
			store = fake.New("wheels", fake.WithVersioning(objectstore.VersioningNever))
		case contract.Missing:
			store.SetMissing(true)
		}
		return contract.Bucket{
			Store: store,
			Tags: func(_ context.Context, key, versionID string) (map[string]string, error) {
				return store.Tags(key, versionID), nil
			},
			StartUpload: func(_ context.Context, key string) (string, error) {
				return store.StartUpload(key), nil
			},
			PutMultipart: func(_ context.Context, key string, parts ...[]byte) error {
				store.SeedMultipart(key, fake.SeedOptions{}, parts...)
				return nil
			},
			Hold: func(_ context.Context, key, versionID string) error {
				store.SetLocked(key, versionID, true)
				return nil
			},
		}
	}})
}
