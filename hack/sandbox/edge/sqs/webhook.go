package sqs

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/fault"
)

// notification is versitygw's event; what is not named here is passed on as is.
type notification struct {
	Event   string // s3:TestEvent, sent once at start
	Records []map[string]any
}

// Webhook takes versitygw's notifications about one bucket and queues them in the
// form S3 sends to SQS.
type Webhook struct {
	queue  *Queue
	bucket string
	region string
	faults *fault.Board
}

// NewWebhook feeds the queue with the events of a bucket.
func NewWebhook(queue *Queue, bucket, region string, faults *fault.Board) *Webhook {
	return &Webhook{queue: queue, bucket: bucket, region: region, faults: faults}
}

// ServeHTTP implements http.Handler.
func (h *Webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// A lost event is what this fault is for: say yes and forget it.
	if h.faults.Drops("events") {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	var n notification
	if err := json.Unmarshal(raw, &n); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, record := range n.Records {
		if body, ok := h.translate(record); ok {
			h.queue.Send(body, 0)
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// translate returns the message for one record, and false for records that the
// bucket's notification configuration leaves out.
func (h *Webhook) translate(record map[string]any) (string, bool) {
	name, _ := record["eventName"].(string)
	s3, _ := record["s3"].(map[string]any)
	bucket, _ := s3["bucket"].(map[string]any)
	object, _ := s3["object"].(map[string]any)
	key, _ := object["key"].(string)
	if bucket["name"] != h.bucket || key == "" {
		return "", false
	}
	version, _ := object["versionId"].(string)
	event, ok := eventName(strings.TrimPrefix(name, "s3:"), version)
	if !ok {
		return "", false
	}
	record["eventName"] = event
	record["eventVersion"] = "2.1"
	record["awsRegion"] = h.region
	delete(record, "glacierEventData")
	s3["configurationId"] = "sandbox"
	bucket["arn"] = "arn:aws:s3:::" + h.bucket
	object["key"] = formEncoded(key)
	if version == "" {
		delete(object, "versionId")
	}
	if etag, ok := object["eTag"].(string); ok {
		object["eTag"] = strings.Trim(etag, `"`)
	} else {
		delete(object, "eTag")
	}
	body, err := json.Marshal(map[string]any{"Records": []any{record}})
	if err != nil {
		fmt.Printf("events: %v\n", err)
		return "", false
	}
	return string(body), true
}

// eventName is S3's name for versitygw's event.
func eventName(name, version string) (string, bool) {
	switch {
	case strings.HasPrefix(name, "ObjectCreated:"):
		return name, true
	case name == "ObjectRemoved:DeleteObjects" && version == "":
		return "ObjectRemoved:DeleteMarkerCreated", true
	case strings.HasPrefix(name, "ObjectRemoved:"):
		return "ObjectRemoved:Delete", true
	}
	return "", false
}

// formEncoded is how keys are written in notifications: a space is a +, a + is
// %2B, a slash stays.
func formEncoded(key string) string {
	return strings.ReplaceAll(url.QueryEscape(key), "%2F", "/")
}
