package s3_test

import (
	"testing"

	"github.com/pytorch/platform-lane-operator/controllers/objectstore/contract"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/s3"
)

func TestContractOnVersitygw(t *testing.T) {
	g := server(t)
	contract.Run(t, contract.Server{Differences: contract.Differences{
		MarkerCountsAsObject: true,
		VersionsUnordered:    true,
	}, NewBucket: func(t *testing.T, kind contract.Kind) contract.Bucket {
		name := g.bucket(t, kind)
		store, err := s3.New(t.Context(), g.config(name))
		must(t, err)
		return contract.Bucket{
			Store:        store,
			Tags:         g.tags(name),
			StartUpload:  g.startUpload(name),
			PutMultipart: g.putMultipart(name),
			Hold:         g.hold(name),
		}
	}})
}
