package e2e

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/s3"
	"github.com/pytorch/platform-lane-operator/controllers/simpleindex"
	"github.com/pytorch/platform-lane-operator/controllers/simpleindex/crawl"
	"github.com/pytorch/platform-lane-operator/test/story"
)

// linter checks every index that it has ever seen a lane publish, as `kubectl
// lane index check` does.
type linter struct {
	// prefixes of the channels, by the address of their index.
	prefixes map[string]string
}

// check demands that no index has an error, through the CDN and in the bucket. A
// page and its other format may be purged one after the other: it looks again for
// a moment.
func (l *linter) check(ctx context.Context, w *story.World) {
	GinkgoHelper()
	var lanes v1alpha1.PlatformLaneList
	Expect(w.Client.List(ctx, &lanes)).To(Succeed())
	for _, lane := range lanes.Items {
		for _, channel := range lane.Status.Channels {
			l.prefixes[channel.IndexURL] = channel.Prefix
		}
	}
	Expect(l.prefixes).NotTo(BeEmpty())
	store := bucket(ctx, w)
	for url, prefix := range l.prefixes {
		Eventually(func() error { return errorsIn(crawl.HTTP(ctx, url, crawl.Options{Hashes: true})) }, time.Minute, time.Second).Should(Succeed(), url)
		Eventually(func() error { return errorsIn(crawl.Bucket(ctx, store, prefix, crawl.Options{Hashes: true})) }, time.Minute, time.Second).Should(Succeed(), prefix)
	}
}

func bucket(ctx context.Context, w *story.World) objectstore.Store {
	GinkgoHelper()
	root := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: w.Stack.RootAccessKeyID, SecretAccessKey: w.Stack.RootSecretAccessKey}, nil
	})
	store, err := s3.New(ctx, s3.Config{Bucket: w.Stack.Bucket, Region: w.Stack.Region, Endpoint: w.Stack.S3Endpoint, Credentials: root})
	Expect(err).NotTo(HaveOccurred())
	return store
}

// errorsIn are the errors of a report. Each index has at least its list of
// projects, in both formats.
func errorsIn(report *crawl.Report, err error) error {
	if err != nil {
		return err
	}
	if report.Pages < 2 {
		return fmt.Errorf("only %d pages were read", report.Pages)
	}
	var found []string
	for _, f := range report.Findings {
		if f.Severity == simpleindex.Error {
			found = append(found, f.String())
		}
	}
	if len(found) > 0 {
		return fmt.Errorf("%s", strings.Join(found, "\n"))
	}
	return nil
}
