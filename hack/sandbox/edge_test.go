package sandbox_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	cftypes "github.com/aws/aws-sdk-go-v2/service/cloudfront/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/pytorch/platform-lane-operator/hack/sandbox"
)

func sqsClient(i *sandbox.Info, id, secret string) *sqs.Client {
	return sqs.New(sqs.Options{
		Region: i.Region, BaseEndpoint: aws.String(i.SQSEndpoint), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""),
	})
}

// What happens in the bucket arrives in the queue, as S3 would put it.
func TestEvents(t *testing.T) {
	stack := sharedStack(t)
	root := rootS3(&stack.Info)
	key := "whl/events/torch-1.0+events.whl"
	if _, err := put(t, root, sandbox.Bucket, key, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := root.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(sandbox.Bucket), Key: &key}); err != nil {
		t.Fatal(err)
	}
	queue := sqsClient(&stack.Info, stack.OperatorAccessKeyID, stack.OperatorSecretAccessKey)
	want := map[string]bool{"ObjectCreated:Put": true, "ObjectRemoved:Delete": true}
	eventually(t, "both events", func() error {
		out, err := queue.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &stack.QueueURL, MaxNumberOfMessages: 10, WaitTimeSeconds: 1})
		if err != nil {
			return err
		}
		for _, m := range out.Messages {
			var body struct {
				Records []struct {
					EventName string
					S3        struct{ Object struct{ Key string } }
				}
			}
			if err := json.Unmarshal([]byte(*m.Body), &body); err != nil {
				t.Fatalf("%v: %s", err, *m.Body)
			}
			if body.Records[0].S3.Object.Key == "whl/events/torch-1.0%2Bevents.whl" {
				delete(want, body.Records[0].EventName)
			}
			if _, err := queue.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: &stack.QueueURL, ReceiptHandle: m.ReceiptHandle}); err != nil {
				return err
			}
		}
		if len(want) != 0 {
			return fmt.Errorf("missing %v", want)
		}
		return nil
	})
}

func TestAnInvalidationEmptiesTheCDN(t *testing.T) {
	stack := sharedStack(t)
	operator := operatorS3(&stack.Info)
	page := func(body string) {
		t.Helper()
		_, err := put(t, operator, sandbox.Bucket, "whl/purged/index.html", body, func(in *s3.PutObjectInput) {
			in.IfNoneMatch, in.CacheControl, in.ContentType = nil, aws.String("max-age=0, s-maxage=86400"), aws.String("text/html")
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	expect := func(want string) error {
		if _, got := get(t, stack.CDNURL+"/whl/purged/"); got != want {
			return fmt.Errorf("the CDN serves %q, want %q", got, want)
		}
		return nil
	}
	page("old")
	if err := expect("old"); err != nil {
		t.Fatal(err)
	}
	page("new")
	if err := expect("old"); err != nil {
		t.Fatal(err)
	}
	cdn := cloudfront.New(cloudfront.Options{
		Region: stack.Region, BaseEndpoint: &stack.CloudFrontEndpoint, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(stack.OperatorAccessKeyID, stack.OperatorSecretAccessKey, ""),
	})
	created, err := cdn.CreateInvalidation(t.Context(), &cloudfront.CreateInvalidationInput{
		DistributionId: &stack.DistributionID,
		InvalidationBatch: &cftypes.InvalidationBatch{
			CallerReference: aws.String("purge"), Paths: &cftypes.Paths{Quantity: aws.Int32(1), Items: []string{"/whl/purged/*"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the invalidation", func() error {
		out, err := cdn.GetInvalidation(t.Context(), &cloudfront.GetInvalidationInput{DistributionId: &stack.DistributionID, Id: created.Invalidation.Id})
		if err == nil && *out.Invalidation.Status != "Completed" {
			return fmt.Errorf("it is %s", *out.Invalidation.Status)
		}
		return err
	})
	if err := expect("new"); err != nil {
		t.Error(err)
	}
}

// The services that the edge answers itself check who asks, as the others do.
func TestTheEdgeChecksCallers(t *testing.T) {
	stack := sharedStack(t)
	for name, c := range map[string]struct{ id, secret, want string }{
		"the operator": {stack.OperatorAccessKeyID, stack.OperatorSecretAccessKey, ""},
		"root":         {stack.RootAccessKeyID, stack.RootSecretAccessKey, ""},
		"wrong secret": {stack.OperatorAccessKeyID, "wrong", "AccessDeniedException"},
		"unknown key":  {"AKIA0000000000000000", "wrong", "AccessDeniedException"},
	} {
		_, err := sqsClient(&stack.Info, c.id, c.secret).ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &stack.QueueURL})
		if c.want == "" && err != nil || c.want != "" && code(err) != c.want {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	// The operator may read the queue, but not write to it.
	_, err := sqsClient(&stack.Info, stack.OperatorAccessKeyID, stack.OperatorSecretAccessKey).SendMessage(t.Context(),
		&sqs.SendMessageInput{QueueUrl: &stack.QueueURL, MessageBody: aws.String("x")})
	if code(err) != "AccessDeniedException" {
		t.Errorf("the operator sends: %v", err)
	}
}
