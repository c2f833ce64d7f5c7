package s3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/pytorch/platform-lane-operator/controllers/objectstore/contract"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/s3"
	"github.com/pytorch/platform-lane-operator/hack/sandbox"
)

// The server refuses CopyObject above this size, so that copying in parts can
// be tested with small objects.
const copyThreshold = 6 << 20

const accessKey, secretKey = "contractroot", "contract-secret"

// gateway is one versitygw process for all tests of the package.
type gateway struct {
	endpoint string
	client   *awss3.Client
	process  *exec.Cmd
	dir      string
}

var (
	startOnce sync.Once
	started   *gateway
	errStart  error
)

func TestMain(m *testing.M) {
	code := m.Run()
	if started != nil {
		started.stop()
	}
	os.Exit(code)
}

// server returns the running gateway, starting it at first.
func server(t *testing.T) *gateway {
	t.Helper()
	startOnce.Do(func() { started, errStart = start() })
	if errStart != nil {
		t.Fatal(errStart)
	}
	return started
}

func start() (*gateway, error) {
	// Built once by the sandbox; progress shows when it is not there yet.
	binaries, err := sandbox.Build(context.Background(), os.Stderr)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "versitygw-contract-")
	if err != nil {
		return nil, err
	}
	g := &gateway{dir: dir}
	data, versions := filepath.Join(dir, "data"), filepath.Join(dir, "versions")
	for _, d := range []string{data, versions} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return nil, err
		}
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	g.endpoint = "http://" + address
	var log bytes.Buffer
	g.process = exec.Command(binaries.VersityGW, "--port", address, "--access", accessKey, "--secret", secretKey,
		"--quiet", "--health", "/health", "--keep-alive", "--copy-object-threshold", fmt.Sprint(copyThreshold),
		"posix", "--versioning-dir", versions, data)
	g.process.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	g.process.Stdout, g.process.Stderr = &log, &log
	if err := g.process.Start(); err != nil {
		return nil, err
	}
	g.client = awss3.New(awss3.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(g.endpoint),
		UsePathStyle: true,
		Credentials:  credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
	})
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		response, err := http.Get(g.endpoint + "/health")
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return g, nil
			}
			err = errors.New(response.Status)
		}
		if time.Now().After(deadline) {
			g.stop()
			return nil, fmt.Errorf("versitygw did not come up on %s: %w\n%s", g.endpoint, err, log.String())
		}
	}
}

func (g *gateway) stop() {
	_ = g.process.Process.Kill()
	_ = g.process.Wait()
	_ = os.RemoveAll(g.dir)
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String(), nil
}

// config is a configuration of the adapter for one bucket of the server.
func (g *gateway) config(bucket string) s3.Config {
	return s3.Config{
		Bucket:        bucket,
		Region:        "us-east-1",
		Endpoint:      g.endpoint,
		Credentials:   credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
		CopyThreshold: copyThreshold,
		CopyPartSize:  5 << 20,
	}
}

var bucketNumber struct {
	sync.Mutex
	n int
}

// bucket makes a bucket of its own for one test.
func (g *gateway) bucket(t *testing.T, kind contract.Kind) string {
	t.Helper()
	bucketNumber.Lock()
	bucketNumber.n++
	name := fmt.Sprintf("wheels-%d", bucketNumber.n)
	bucketNumber.Unlock()
	if kind == contract.Missing {
		return name
	}
	in := &awss3.CreateBucketInput{Bucket: &name}
	if kind == contract.ObjectLock {
		in.ObjectLockEnabledForBucket = aws.Bool(true)
	}
	_, err := g.client.CreateBucket(t.Context(), in)
	must(t, err)
	if kind != contract.Unversioned {
		_, err = g.client.PutBucketVersioning(t.Context(), &awss3.PutBucketVersioningInput{
			Bucket:                  &name,
			VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
		})
		must(t, err)
	}
	return name
}

func (g *gateway) tags(bucket string) func(context.Context, string, string) (map[string]string, error) {
	return func(ctx context.Context, key, versionID string) (map[string]string, error) {
		out, err := g.client.GetObjectTagging(ctx, &awss3.GetObjectTaggingInput{Bucket: &bucket, Key: &key, VersionId: &versionID})
		if err != nil {
			return nil, err
		}
		tags := map[string]string{}
		for _, tag := range out.TagSet {
			tags[*tag.Key] = *tag.Value
		}
		return tags, nil
	}
}

func (g *gateway) startUpload(bucket string) func(context.Context, string) (string, error) {
	return func(ctx context.Context, key string) (string, error) {
		out, err := g.client.CreateMultipartUpload(ctx, &awss3.CreateMultipartUploadInput{
			Bucket: &bucket, Key: &key, ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
		})
		if err != nil {
			return "", err
		}
		return *out.UploadId, nil
	}
}

func (g *gateway) putMultipart(bucket string) func(context.Context, string, ...[]byte) error {
	return func(ctx context.Context, key string, parts ...[]byte) error {
		id, err := g.startUpload(bucket)(ctx, key)
		if err != nil {
			return err
		}
		var completed []types.CompletedPart
		for i, part := range parts {
			number := aws.Int32(int32(i + 1))
			out, err := g.client.UploadPart(ctx, &awss3.UploadPartInput{
				Bucket: &bucket, Key: &key, UploadId: &id, PartNumber: number, Body: bytes.NewReader(part),
				ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
			})
			if err != nil {
				return err
			}
			completed = append(completed, types.CompletedPart{ETag: out.ETag, PartNumber: number, ChecksumSHA256: out.ChecksumSHA256})
		}
		_, err = g.client.CompleteMultipartUpload(ctx, &awss3.CompleteMultipartUploadInput{
			Bucket: &bucket, Key: &key, UploadId: &id, MultipartUpload: &types.CompletedMultipartUpload{Parts: completed},
		})
		return err
	}
}

func (g *gateway) hold(bucket string) func(context.Context, string, string) error {
	return func(ctx context.Context, key, versionID string) error {
		_, err := g.client.PutObjectLegalHold(ctx, &awss3.PutObjectLegalHoldInput{
			Bucket: &bucket, Key: &key, VersionId: &versionID,
			LegalHold: &types.ObjectLockLegalHold{Status: types.ObjectLockLegalHoldStatusOn},
		})
		return err
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
