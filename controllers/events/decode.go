package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// MaxBody is the largest body that [Decode] looks at, in bytes: what SQS, SNS
// and EventBridge carried at most when these formats were made. S3 stays far
// below it.
const MaxBody = 256 << 10

// maxKey is the length of the longest key that S3 stores, in bytes.
const maxKey = 1024

// ErrPoison is a body that is none of the forms that [Decode] knows. It is
// never going to be one: remove it.
var ErrPoison = errors.New("not an object event")

// Decode reads the body of a message. It knows
//   - what S3 sends to a queue: keys are form-encoded
//     (https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html),
//   - the same wrapped by SNS, once,
//   - what EventBridge sends for S3: keys are raw
//     (https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html),
//   - the s3:TestEvent that S3 sends when notifications are set up.
//
// A test event, and events of other kinds than created and removed, give no
// changes and no error. Everything else is ErrPoison; the error never repeats
// the whole body.
func Decode(body []byte) ([]Change, error) {
	changes, err := decode(body, true)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPoison, err)
	}
	return changes, nil
}

// envelope has what tells the forms apart.
type envelope struct {
	// S3
	Records []s3Record `json:"Records"`
	Event   string     `json:"Event"`
	// SNS
	Type    string `json:"Type"`
	Message string `json:"Message"`
	// EventBridge
	Source     string            `json:"source"`
	DetailType string            `json:"detail-type"`
	Time       time.Time         `json:"time"`
	Detail     eventBridgeDetail `json:"detail"`
}

type s3Record struct {
	EventSource string    `json:"eventSource"`
	EventName   string    `json:"eventName"`
	EventTime   time.Time `json:"eventTime"`
	S3          struct {
		Bucket struct {
			Name string `json:"name"`
		} `json:"bucket"`
		Object struct {
			Key       string `json:"key"`
			Size      int64  `json:"size"`
			ETag      string `json:"eTag"`
			VersionID string `json:"versionId"`
		} `json:"object"`
	} `json:"s3"`
}

type eventBridgeDetail struct {
	Bucket struct {
		Name string `json:"name"`
	} `json:"bucket"`
	Object struct {
		Key       string `json:"key"`
		Size      int64  `json:"size"`
		ETag      string `json:"etag"`
		VersionID string `json:"version-id"`
	} `json:"object"`
}

func decode(body []byte, unwrap bool) ([]Change, error) {
	if len(body) > MaxBody {
		return nil, fmt.Errorf("the body has %d bytes; at most %d are read", len(body), MaxBody)
	}
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, fmt.Errorf("the body is not the JSON of an event: %w", err)
	}
	switch {
	case e.Event == "s3:TestEvent":
		return nil, nil
	case len(e.Records) > 0:
		return fromS3(e.Records)
	case e.Source == "aws.s3":
		return fromEventBridge(e)
	case unwrap && e.Type == "Notification" && e.Message != "":
		return decode([]byte(e.Message), false)
	default:
		return nil, errors.New("the body is of no known form")
	}
}

func fromS3(records []s3Record) ([]Change, error) {
	var changes []Change
	for i, r := range records {
		if r.EventSource != "aws:s3" {
			return nil, fmt.Errorf("record %d is of source %.40q, not aws:s3", i, r.EventSource)
		}
		kind, reported := kindOfName(r.EventName)
		if !reported {
			continue
		}
		key, err := url.QueryUnescape(r.S3.Object.Key)
		if err != nil {
			return nil, fmt.Errorf("the key of record %d is not form-encoded: %.100q", i, r.S3.Object.Key)
		}
		change := Change{
			Kind: kind, Bucket: r.S3.Bucket.Name, Key: key, VersionID: r.S3.Object.VersionID,
			ETag: strings.Trim(r.S3.Object.ETag, `"`), Size: r.S3.Object.Size, Time: r.EventTime.UTC(),
		}
		if err := change.check(); err != nil {
			return nil, fmt.Errorf("record %d: %w", i, err)
		}
		changes = append(changes, change)
	}
	return changes, nil
}

func fromEventBridge(e envelope) ([]Change, error) {
	var kind Kind
	switch e.DetailType {
	case "Object Created":
		kind = Created
	case "Object Deleted":
		kind = Removed
	default:
		return nil, nil
	}
	object := e.Detail.Object
	change := Change{
		Kind: kind, Bucket: e.Detail.Bucket.Name, Key: object.Key, VersionID: object.VersionID,
		ETag: strings.Trim(object.ETag, `"`), Size: object.Size, Time: e.Time.UTC(),
	}
	if err := change.check(); err != nil {
		return nil, err
	}
	return []Change{change}, nil
}

// kindOfName sorts S3's event names, which some servers prefix with "s3:".
func kindOfName(name string) (Kind, bool) {
	group, _, _ := strings.Cut(strings.TrimPrefix(name, "s3:"), ":")
	switch group {
	case "ObjectCreated":
		return Created, true
	case "ObjectRemoved", "LifecycleExpiration":
		return Removed, true
	default:
		return "", false
	}
}

// check refuses changes of objects that cannot exist.
func (c Change) check() error {
	switch {
	case c.Bucket == "":
		return errors.New("the event names no bucket")
	case c.Key == "":
		return errors.New("the event names no key")
	case len(c.Key) > maxKey:
		return fmt.Errorf("the key has %d bytes; S3 stores %d at most", len(c.Key), maxKey)
	case !utf8.ValidString(c.Key):
		return errors.New("the key is not UTF-8")
	case c.Size < 0:
		return fmt.Errorf("the size is %d bytes", c.Size)
	}
	return nil
}
