package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// Claims describe the workflow job that asks for a token, in GitHub's terms.
// Empty fields are claims that the token does not carry. This is the request
// body of TokenEndpoint.
type Claims struct {
	// Repository is owner/name.
	Repository        string `json:"repository"`
	RepositoryID      string `json:"repositoryID"`
	RepositoryOwnerID string `json:"repositoryOwnerID"`
	Environment       string `json:"environment,omitempty"`
	Ref               string `json:"ref,omitempty"`
	Workflow          string `json:"workflow,omitempty"`
	JobWorkflowRef    string `json:"jobWorkflowRef,omitempty"`
	EventName         string `json:"eventName,omitempty"`
	Actor             string `json:"actor,omitempty"`
	ActorID           string `json:"actorID,omitempty"`
	// Audience defaults to the constant Audience.
	Audience string `json:"audience,omitempty"`
	// ImmutableSubject selects the form repo:ORG@ID/REPO@ID:… of sub.
	ImmutableSubject bool `json:"immutableSubject,omitempty"`
	// Subject, when set, is sub as it stands; otherwise it is computed as
	// GitHub does: environment, else pull request, else ref.
	Subject string `json:"subject,omitempty"`
	// LifetimeSeconds defaults to 300; negative makes an expired token.
	LifetimeSeconds int `json:"lifetimeSeconds,omitempty"`
	// Claims are set last and override the others; nil removes a claim.
	Claims map[string]any `json:"claims,omitempty"`
}

// Token asks the issuer for a job's token, as the job would ask GitHub.
func (i *Info) Token(ctx context.Context, claims Claims) (string, error) {
	var answer struct{ Value string }
	if err := call(ctx, http.MethodPost, i.TokenEndpoint, claims, &answer); err != nil {
		return "", fmt.Errorf("get a token: %w", err)
	}
	return answer.Value, nil
}

// Calls counts the calls of every client since the start or the last ResetCalls,
// by service (iam, sts, s3, cdn, mirror, cloudfront, sqs) and operation as the
// service's API reference names it. ACK's calls are among those to iam.
func (i *Info) Calls(ctx context.Context) (map[string]map[string]int, error) {
	counts := map[string]map[string]int{}
	return counts, call(ctx, http.MethodGet, i.DebugEndpoint+"/debug/calls", nil, &counts)
}

// ResetCalls sets every count to zero.
func (i *Info) ResetCalls(ctx context.Context) error {
	return call(ctx, http.MethodDelete, i.DebugEndpoint+"/debug/calls", nil, nil)
}

// Fault is how a service misbehaves; the zero value lifts the fault.
type Fault struct {
	// Status is answered to every request.
	Status int `json:"status,omitempty"`
	// Hang keeps requests waiting until the fault is lifted.
	Hang bool `json:"hang,omitempty"`
	// Down drops the connection without an answer.
	Down bool `json:"down,omitempty"`
	// DelayMillis is waited before every request.
	DelayMillis int `json:"delayMillis,omitempty"`
	// Operations limits the fault to these; empty means all.
	Operations []string `json:"operations,omitempty"`
	// Times limits the fault to so many requests; 0 means no limit.
	Times int `json:"times,omitempty"`
}

// SetFault makes a service misbehave: iam, sts, s3, cdn, mirror, cloudfront, sqs,
// or events (notifications are then lost).
func (i *Info) SetFault(ctx context.Context, service string, f Fault) error {
	return call(ctx, http.MethodPost, i.DebugEndpoint+"/debug/faults/"+service, f, nil)
}

// Invalidations changes how CloudFront behaves; nil fields stay as they are.
type Invalidations struct {
	// DelayMillis is how long an invalidation is in progress, 300 at first.
	DelayMillis *int `json:"delayMillis,omitempty"`
	// Hold keeps invalidations in progress until it is lifted.
	Hold *bool `json:"hold,omitempty"`
}

// SetInvalidations changes how long invalidations take.
func (i *Info) SetInvalidations(ctx context.Context, behavior Invalidations) error {
	return call(ctx, http.MethodPost, i.DebugEndpoint+"/debug/cloudfront", behavior, nil)
}

// FlushCDN empties the CDN's cache without an invalidation.
func (i *Info) FlushCDN(ctx context.Context) error {
	return call(ctx, http.MethodPost, i.DebugEndpoint+"/debug/cdn/flush", nil, nil)
}

// call sends and receives JSON.
func call(ctx context.Context, method, url string, in, out any) error {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, url, resp.Status, bytes.TrimSpace(raw))
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(raw, out)
}
