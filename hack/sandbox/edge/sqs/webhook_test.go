package sqs

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/fault"
)

// record is a notification as versitygw sends it.
func record(bucket, event, key, version string) string {
	versionID := "null"
	if version != "" {
		versionID = `"` + version + `"`
	}
	return `{"Records":[{"eventVersion":"2.2","eventSource":"aws:s3","awsRegion":"us-east-1","eventName":"` + event + `",
		"s3":{"s3SchemaVersion":"1.0","configurationId":"webhook-global","bucket":{"name":"` + bucket + `","arn":"arn:aws:s3:::/b/k"},
		"object":{"key":"` + key + `","size":3,"eTag":"\"abc\"","versionId":` + versionID + `,"sequencer":"1"}},
		"glacierEventData":{}}]}`
}

func TestNotificationsBecomeWhatS3Sends(t *testing.T) {
	for _, c := range []struct {
		name, bucket, event, key, version string
		wantEvent, wantKey                string // "" when no message is sent
	}{
		{"put", "b", "s3:ObjectCreated:Put", "whl/x/torch-2.9+x.whl", "v1", "ObjectCreated:Put", "whl/x/torch-2.9%2Bx.whl"},
		{"space", "b", "s3:ObjectCreated:Copy", "a b/ü", "", "ObjectCreated:Copy", "a+b/%C3%BC"},
		{"multipart", "b", "s3:ObjectCreated:CompleteMultipartUpload", "k", "v1", "ObjectCreated:CompleteMultipartUpload", "k"},
		{"delete", "b", "s3:ObjectRemoved:Delete", "k", "", "ObjectRemoved:Delete", "k"},
		{"batch delete leaves a marker", "b", "s3:ObjectRemoved:DeleteObjects", "k", "", "ObjectRemoved:DeleteMarkerCreated", "k"},
		{"batch delete of a version", "b", "s3:ObjectRemoved:DeleteObjects", "k", "v1", "ObjectRemoved:Delete", "k"},
		{"tagging is not configured", "b", "s3:ObjectTagging:Put", "k", "v1", "", ""},
		{"another bucket", "other", "s3:ObjectCreated:Put", "k", "v1", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			queue := NewQueue()
			w := httptest.NewRecorder()
			NewWebhook(queue, "b", "us-east-1", &fault.Board{}).ServeHTTP(w,
				httptest.NewRequest(http.MethodPost, "/", strings.NewReader(record(c.bucket, c.event, c.key, c.version))))
			if w.Code != http.StatusNoContent {
				t.Fatalf("answered %d: %s", w.Code, w.Body)
			}
			messages := queue.receive(context.Background(), 10, 0, 0)
			if c.wantEvent == "" {
				if len(messages) != 0 {
					t.Errorf("queued %s", messages[0].body)
				}
				return
			}
			var got struct {
				Records []struct {
					EventName string
					S3        struct {
						Bucket struct{ Name, Arn string }
						Object struct{ Key, ETag, VersionID string }
					}
				}
			}
			if len(messages) != 1 {
				t.Fatalf("queued %d messages", len(messages))
			}
			if err := json.Unmarshal([]byte(messages[0].body), &got); err != nil {
				t.Fatal(err)
			}
			r := got.Records[0]
			if r.EventName != c.wantEvent || r.S3.Object.Key != c.wantKey || r.S3.Object.VersionID != c.version ||
				r.S3.Object.ETag != "abc" || r.S3.Bucket.Arn != "arn:aws:s3:::b" {
				t.Errorf("got %s", messages[0].body)
			}
		})
	}
}

func TestEventsCanBeLost(t *testing.T) {
	queue, faults := NewQueue(), &fault.Board{}
	faults.Set("events", fault.Fault{Down: true})
	hook := NewWebhook(queue, "b", "us-east-1", faults)
	hook.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", strings.NewReader(record("b", "s3:ObjectCreated:Put", "k", ""))))
	if visible, _, _ := queue.depth(); visible != 0 {
		t.Error("the event arrived")
	}
}

func TestTheTestEventOfTheStartIsNoMessage(t *testing.T) {
	queue := NewQueue()
	NewWebhook(queue, "b", "us-east-1", &fault.Board{}).ServeHTTP(httptest.NewRecorder(),
		httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"Service":"S3","Event":"s3:TestEvent","Bucket":"Test-Bucket"}`)))
	if visible, _, _ := queue.depth(); visible != 0 {
		t.Error("the test event was queued")
	}
}
