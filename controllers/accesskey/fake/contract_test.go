package fake_test

import (
	"testing"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/access"
	"github.com/pytorch/platform-lane-operator/controllers/accesskey/contract"
	"github.com/pytorch/platform-lane-operator/controllers/accesskey/fake"
)

func TestContract(t *testing.T) {
	contract.Run(t, func(*testing.T) contract.Server {
		u := fake.New(time.Now)
		return contract.Server{
			Users: u, Path: "/lanes/", Prefix: "lane-",
			Writes: func(*testing.T) int { return u.Writes() },
			Put: func(_ *testing.T, name, path string, tags ...access.Tag) {
				u.Put(name, "arn:aws:iam::000000000000:user"+path+name, tags...)
			},
			PutPolicy: func(_ *testing.T, name, policy, document string) { u.PutPolicy(name, policy, document) },
			Tag:       func(_ *testing.T, name string, tags ...access.Tag) { u.Tag(name, tags...) },
			Policies:  func(_ *testing.T, name string) (map[string]string, bool) { return u.Policies(name) },
			Describe:  func(_ *testing.T, name string) ([]access.Tag, string) { return u.Describe(name) },
		}
	})
}
