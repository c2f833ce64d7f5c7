package events_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/events"
)

const wheel = "whl/spyre/torch-2.9.0+spyre-cp312 linux.whl"

// s3Body is what S3 sends, with fields that are of no interest to us.
func s3Body(name, key string) string {
	return fmt.Sprintf(`{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-east-1",
	"eventTime":"2026-03-01T12:00:00.123Z","eventName":%q,"userIdentity":{"principalId":"AWS:AROA"},
	"s3":{"s3SchemaVersion":"1.0","configurationId":"lanes","bucket":{"name":"pytorch","arn":"arn:aws:s3:::pytorch"},
	"object":{"key":%q,"size":42,"eTag":"d41d8cd98f00b204e9800998ecf8427e","versionId":"v1","sequencer":"0055"}}}]}`, name, key)
}

func eventBridgeBody(detailType, key string) string {
	return fmt.Sprintf(`{"version":"0","id":"2ee9cc15","detail-type":%q,"source":"aws.s3","account":"123456789012",
	"time":"2026-03-01T12:00:00Z","region":"us-east-1","resources":["arn:aws:s3:::pytorch"],
	"detail":{"version":"0","bucket":{"name":"pytorch"},"object":{"key":%q,"size":42,"etag":"d41d8cd98f00b204e9800998ecf8427e",
	"version-id":"v1","sequencer":"0055"},"request-id":"N4N7GDK58NMKJ12R","requester":"123456789012","reason":"PutObject"}}`, detailType, key)
}

func snsBody(t *testing.T, message string) string {
	t.Helper()
	body, err := json.Marshal(map[string]string{"Type": "Notification", "TopicArn": "arn:aws:sns:x", "Message": message})
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestDecode(t *testing.T) {
	change := func(kind events.Kind, at time.Time) []events.Change {
		return []events.Change{{
			Kind: kind, Bucket: "pytorch", Key: wheel, VersionID: "v1",
			ETag: "d41d8cd98f00b204e9800998ecf8427e", Size: 42, Time: at,
		}}
	}
	s3Time := time.Date(2026, 3, 1, 12, 0, 0, 123e6, time.UTC)
	bridgeTime := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	const encoded = "whl/spyre/torch-2.9.0%2Bspyre-cp312+linux.whl"
	for _, test := range []struct {
		name, body string
		want       []events.Change
	}{
		{"S3, a put", s3Body("ObjectCreated:Put", encoded), change(events.Created, s3Time)},
		{"S3, a completed multipart upload", s3Body("ObjectCreated:CompleteMultipartUpload", encoded), change(events.Created, s3Time)},
		{"S3, from a server that prefixes", s3Body("s3:ObjectCreated:Put", encoded), change(events.Created, s3Time)},
		{"S3, a delete marker", s3Body("ObjectRemoved:DeleteMarkerCreated", encoded), change(events.Removed, s3Time)},
		{"S3, a lifecycle rule", s3Body("LifecycleExpiration:Delete", encoded), change(events.Removed, s3Time)},
		{"S3, tags", s3Body("ObjectTagging:Put", encoded), nil},
		{"S3, something new", s3Body("ObjectFrobnicated:Put", encoded), nil},
		{"S3 through SNS", snsBody(t, s3Body("ObjectCreated:Put", encoded)), change(events.Created, s3Time)},
		{"EventBridge, created", eventBridgeBody("Object Created", wheel), change(events.Created, bridgeTime)},
		{"EventBridge, deleted", eventBridgeBody("Object Deleted", wheel), change(events.Removed, bridgeTime)},
		{"EventBridge, tags", eventBridgeBody("Object Tags Added", wheel), nil},
		{"a test event", `{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-03-01T12:00:00.000Z","Bucket":"pytorch"}`, nil},
		{"a test event through SNS", snsBody(t, `{"Service":"Amazon S3","Event":"s3:TestEvent"}`), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := events.Decode([]byte(test.body))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

// EventBridge keys are raw: decoding them would name other objects.
func TestDecodeKeepsRawKeys(t *testing.T) {
	got, err := events.Decode([]byte(eventBridgeBody("Object Created", "a%2Bb+c%zz")))
	if err != nil || len(got) != 1 || got[0].Key != "a%2Bb+c%zz" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestDecodeSeveralRecords(t *testing.T) {
	one := func(key string) string {
		body := s3Body("ObjectCreated:Put", key)
		return strings.TrimSuffix(strings.TrimPrefix(body, `{"Records":[`), `]}`)
	}
	got, err := events.Decode([]byte(`{"Records":[` + one("a") + "," + one("b") + `]}`))
	if err != nil || len(got) != 2 || got[0].Key != "a" || got[1].Key != "b" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestDecodePoison(t *testing.T) {
	for name, body := range map[string]string{
		"nothing":                 "",
		"not JSON":                "hello",
		"JSON, but no object":     `[1]`,
		"an empty object":         `{}`,
		"no records":              `{"Records":[]}`,
		"another service":         `{"Records":[{"eventSource":"aws:ses","eventName":"ObjectCreated:Put"}]}`,
		"another bus source":      strings.Replace(eventBridgeBody("Object Created", "k"), "aws.s3", "aws.ec2", 1),
		"no key":                  s3Body("ObjectCreated:Put", ""),
		"no bucket":               strings.Replace(s3Body("ObjectCreated:Put", "k"), `"name":"pytorch"`, `"name":""`, 1),
		"a key badly encoded":     s3Body("ObjectCreated:Put", "a%zz"),
		"a key that is not UTF-8": s3Body("ObjectCreated:Put", "a%ff"),
		"a key that is too long":  s3Body("ObjectCreated:Put", strings.Repeat("k", 1025)),
		"a negative size":         strings.Replace(s3Body("ObjectCreated:Put", "k"), `"size":42`, `"size":-1`, 1),
		"wrong types":             `{"Records":"many"}`,
		"wrapped twice":           snsBody(t, snsBody(t, s3Body("ObjectCreated:Put", "k"))),
		"too large":               `{"Event":"s3:TestEvent","x":"` + strings.Repeat("x", events.MaxBody) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := events.Decode([]byte(body))
			if !errors.Is(err, events.ErrPoison) || got != nil {
				t.Fatalf("got %+v, %v", got, err)
			}
			if len(err.Error()) > 500 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(s3Body("ObjectCreated:Put", "a%2Bb+c")))
	f.Add([]byte(s3Body("ObjectRemoved:Delete", "%ff")))
	f.Add([]byte(eventBridgeBody("Object Deleted", "a+b")))
	f.Add([]byte(`{"Type":"Notification","Message":"{\"Event\":\"s3:TestEvent\"}"}`))
	f.Add([]byte(`{"Records":[{"eventSource":"aws:s3"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		changes, err := events.Decode(body)
		if err != nil {
			if !errors.Is(err, events.ErrPoison) || changes != nil {
				t.Fatalf("%v with changes %+v", err, changes)
			}
			return
		}
		for _, c := range changes {
			if c.Bucket == "" || c.Key == "" || len(c.Key) > 1024 || c.Size < 0 || (c.Kind != events.Created && c.Kind != events.Removed) {
				t.Fatalf("an impossible change: %+v", c)
			}
		}
	})
}
