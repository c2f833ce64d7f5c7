package sqs

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/calls"
	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/fault"
)

// Limits of the protocol.
const (
	maxBatch       = 10
	maxWaitSeconds = 20
	maxVisibility  = 43200
	maxBody        = 1 << 20
)

// Gate authenticates and authorizes a caller.
type Gate interface {
	Authorize(r *http.Request, body []byte, action, resource string) error
}

// API serves one queue.
type API struct {
	queue    *Queue
	url, arn string
	gate     Gate
	calls    *calls.Counter
	faults   *fault.Board
}

// New returns the endpoint of a queue that is known by the given URL and ARN.
func New(queue *Queue, url, arn string, gate Gate, counter *calls.Counter, faults *fault.Board) *API {
	return &API{queue: queue, url: url, arn: arn, gate: gate, calls: counter, faults: faults}
}

type apiError struct {
	code, query, message string
}

func (e *apiError) Error() string { return e.message }

func invalid(message string) error {
	return &apiError{"InvalidParameterValue", "InvalidParameterValue", message}
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.")
	a.calls.Add("sqs", operation)
	if a.faults.Intercept(w, r, "sqs", operation) {
		return
	}
	result, err := a.run(w, r, operation)
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	if err != nil {
		var e *apiError
		if !errors.As(err, &e) {
			e = &apiError{"AccessDenied", "AccessDeniedException", err.Error()}
		}
		w.Header().Set("X-Amzn-Query-Error", e.query+";Sender")
		w.WriteHeader(http.StatusBadRequest)
		result = map[string]string{"__type": "com.amazonaws.sqs#" + e.code, "message": e.message}
	}
	_ = json.NewEncoder(w).Encode(result)
}

// input holds the members of every operation that the queue understands.
type input struct {
	QueueURL            string `json:"QueueUrl"`
	QueueName           string
	MessageBody         string
	DelaySeconds        int
	MaxNumberOfMessages int
	VisibilityTimeout   *int
	WaitTimeSeconds     int
	ReceiptHandle       string
	Entries             []struct {
		ID                string `json:"Id"`
		ReceiptHandle     string
		VisibilityTimeout *int
		MessageBody       string
	}
}

func (a *API) run(w http.ResponseWriter, r *http.Request, operation string) (any, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, invalid(err.Error())
	}
	// Batch operations are authorized as their single form.
	action := "sqs:" + strings.TrimSuffix(operation, "Batch")
	if err := a.gate.Authorize(r, body, action, a.arn); err != nil {
		return nil, err
	}
	var in input
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, invalid(err.Error())
	}
	if operation != "GetQueueUrl" && in.QueueURL != a.url {
		return nil, &apiError{"QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist."}
	}
	serve, ok := map[string]func(context.Context, *input) (any, error){
		"GetQueueUrl": a.getURL, "GetQueueAttributes": a.attributes, "SendMessage": a.send,
		"ReceiveMessage": a.receive, "DeleteMessage": a.remove, "DeleteMessageBatch": a.removeBatch,
		"ChangeMessageVisibility": a.hide, "ChangeMessageVisibilityBatch": a.hideBatch, "PurgeQueue": a.purge,
	}[operation]
	if !ok {
		return nil, &apiError{"UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation", "the sandbox's queue does not know " + operation}
	}
	return serve(r.Context(), &in)
}

func (a *API) getURL(_ context.Context, in *input) (any, error) {
	if !strings.HasSuffix(a.url, "/"+in.QueueName) {
		return nil, &apiError{"QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist."}
	}
	return map[string]string{"QueueUrl": a.url}, nil
}

func (a *API) attributes(context.Context, *input) (any, error) {
	visible, inFlight, delayed := a.queue.depth()
	return map[string]any{"Attributes": map[string]string{
		"QueueArn":                              a.arn,
		"ApproximateNumberOfMessages":           strconv.Itoa(visible),
		"ApproximateNumberOfMessagesNotVisible": strconv.Itoa(inFlight),
		"ApproximateNumberOfMessagesDelayed":    strconv.Itoa(delayed),
		"VisibilityTimeout":                     strconv.Itoa(int(defaultVisibility.Seconds())),
	}}, nil
}

func (a *API) send(_ context.Context, in *input) (any, error) {
	if in.MessageBody == "" || in.DelaySeconds < 0 || in.DelaySeconds > 900 {
		return nil, invalid("MessageBody is empty or DelaySeconds is not between 0 and 900")
	}
	id, checksum := a.queue.Send(in.MessageBody, time.Duration(in.DelaySeconds)*time.Second)
	return map[string]string{"MessageId": id, "MD5OfMessageBody": checksum}, nil
}

type received struct {
	MessageID     string            `json:"MessageId"`
	ReceiptHandle string            `json:"ReceiptHandle"`
	Body          string            `json:"Body"`
	MD5OfBody     string            `json:"MD5OfBody"`
	Attributes    map[string]string `json:"Attributes"`
}

func (a *API) receive(ctx context.Context, in *input) (any, error) {
	limit := max(in.MaxNumberOfMessages, 1)
	if limit > maxBatch || in.WaitTimeSeconds < 0 || in.WaitTimeSeconds > maxWaitSeconds {
		return nil, invalid("MaxNumberOfMessages is at most 10, WaitTimeSeconds between 0 and 20")
	}
	visibility := defaultVisibility
	if in.VisibilityTimeout != nil {
		visibility = time.Duration(*in.VisibilityTimeout) * time.Second
	}
	out := []received{}
	for _, m := range a.queue.receive(ctx, limit, visibility, time.Duration(in.WaitTimeSeconds)*time.Second) {
		out = append(out, received{
			MessageID: m.id, ReceiptHandle: m.receipt, Body: m.body, MD5OfBody: m.md5(),
			Attributes: map[string]string{
				"ApproximateReceiveCount": strconv.Itoa(m.received),
				"SentTimestamp":           strconv.FormatInt(m.sent.UnixMilli(), 10),
			},
		})
	}
	return map[string]any{"Messages": out}, nil
}

func (a *API) remove(_ context.Context, in *input) (any, error) {
	if in.ReceiptHandle == "" {
		return nil, &apiError{"ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", "ReceiptHandle is empty"}
	}
	a.queue.remove(in.ReceiptHandle)
	return struct{}{}, nil
}

// batchResult is the answer to a batch: each entry succeeds or fails by itself.
type batchResult struct {
	Successful []map[string]string
	Failed     []map[string]any
}

func (a *API) batch(in *input, each func(i int) bool) (any, error) {
	if len(in.Entries) == 0 || len(in.Entries) > maxBatch {
		return nil, &apiError{"TooManyEntriesInBatchRequest", "AWS.SimpleQueueService.TooManyEntriesInBatchRequest", "a batch has 1 to 10 entries"}
	}
	result := batchResult{Successful: []map[string]string{}, Failed: []map[string]any{}}
	for i, entry := range in.Entries {
		if each(i) {
			result.Successful = append(result.Successful, map[string]string{"Id": entry.ID})
		} else {
			result.Failed = append(result.Failed, map[string]any{"Id": entry.ID, "Code": "ReceiptHandleIsInvalid", "SenderFault": true})
		}
	}
	return result, nil
}

func (a *API) removeBatch(_ context.Context, in *input) (any, error) {
	return a.batch(in, func(i int) bool {
		receipt := in.Entries[i].ReceiptHandle
		if receipt == "" { // as a message that nobody received has it
			return false
		}
		a.queue.remove(receipt)
		return true
	})
}

func (a *API) hideBatch(_ context.Context, in *input) (any, error) {
	return a.batch(in, func(i int) bool {
		entry := in.Entries[i]
		return entry.VisibilityTimeout != nil && a.queue.hide(entry.ReceiptHandle, time.Duration(*entry.VisibilityTimeout)*time.Second)
	})
}

func (a *API) hide(_ context.Context, in *input) (any, error) {
	if in.VisibilityTimeout == nil || *in.VisibilityTimeout < 0 || *in.VisibilityTimeout > maxVisibility {
		return nil, invalid("VisibilityTimeout is between 0 and 43200 seconds")
	}
	if !a.queue.hide(in.ReceiptHandle, time.Duration(*in.VisibilityTimeout)*time.Second) {
		return nil, &apiError{"MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight", "the message is not in flight"}
	}
	return struct{}{}, nil
}

func (a *API) purge(context.Context, *input) (any, error) {
	a.queue.Purge()
	return struct{}{}, nil
}
