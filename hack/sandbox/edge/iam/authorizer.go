package iam

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/versity/versitygw/iamapi/private"
)

// ConditionCarrier restores the condition keys that the S3 front attached to a
// request on its way to the gateway.
type ConditionCarrier interface {
	// Restore takes the value that arrived as aws:Referer and returns the
	// client's own Referer and the keys to add. ok is false when the value is
	// not one of ours.
	Restore(referer string) (original string, keys map[string][]string, ok bool)
}

// Authorizer stands between the S3 gateway and versitygw's policy evaluation.
// It adds aws:TokenIssueTime for sessions, and the S3 keys that the gateway does
// not report; the decision stays versitygw's.
type Authorizer struct {
	store   *Store
	root    Credentials
	carrier ConditionCarrier
	proxy   *httputil.ReverseProxy
}

// NewAuthorizer forwards to versitygw's authorization API on the given socket.
func NewAuthorizer(store *Store, root Credentials, evaluator string, carrier ConditionCarrier) *Authorizer {
	a := &Authorizer{store: store, root: root, carrier: carrier}
	a.proxy = &httputil.ReverseProxy{
		Transport: unixTransport(evaluator),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", "evaluator"
			r.Out.Host = r.In.Host // signed
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			fmt.Printf("authorizer: forward: %v\n", err)
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	return a
}

// ServeHTTP implements http.Handler for the private socket.
func (a *Authorizer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == private.EvaluatePath {
		if err := a.complete(r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	a.proxy.ServeHTTP(w, r)
}

// complete adds the missing condition keys and signs the request anew.
func (a *Authorizer) complete(r *http.Request) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, 16*maxBodyBytes))
	if err != nil {
		return err
	}
	// The gateway's own signature must hold before ours replaces it.
	auth, err := parseAuthorization(r)
	if err != nil {
		return err
	}
	if auth.accessKeyID != a.root.AccessKeyID {
		return fmt.Errorf("only the S3 gateway may ask for authorization")
	}
	if err := auth.verify(r, body, a.root.SecretAccessKey); err != nil {
		return err
	}
	var question private.EvaluatePolicyRequest
	if err := json.Unmarshal(body, &question); err != nil {
		return fmt.Errorf("authorization request: %w", err)
	}
	a.addKeys(r.Context(), &question)
	if body, err = json.Marshal(question); err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	r.Header.Del("Authorization")
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	if r.Header.Get("X-Amz-Content-Sha256") != "" {
		r.Header.Set("X-Amz-Content-Sha256", hash)
	}
	// The signer reads the host from the URL, which a server's request lacks.
	signed := r.Clone(r.Context())
	signed.URL.Scheme, signed.URL.Host = "http", r.Host
	creds := aws.Credentials{AccessKeyID: a.root.AccessKeyID, SecretAccessKey: a.root.SecretAccessKey}
	if err := v4.NewSigner().SignHTTP(r.Context(), creds, signed, hash, auth.service, auth.region, time.Now()); err != nil {
		return fmt.Errorf("sign the authorization request: %w", err)
	}
	r.Header = signed.Header
	return nil
}

func (a *Authorizer) addKeys(ctx context.Context, q *private.EvaluatePolicyRequest) {
	if q.Condition == nil {
		q.Condition = map[string][]string{}
	}
	if referer := q.Condition["aws:Referer"]; len(referer) == 1 {
		if original, keys, ok := a.carrier.Restore(referer[0]); ok {
			delete(q.Condition, "aws:Referer")
			if original != "" {
				q.Condition["aws:Referer"] = []string{original}
			}
			for name, values := range keys {
				q.Condition[name] = values
			}
		}
	}
	if q.SessionToken == "" {
		return
	}
	if session, err := a.store.GetSession(ctx, q.AccessKeyID); err == nil {
		q.Condition["aws:TokenIssueTime"] = []string{session.CreateDate.UTC().Format(time.RFC3339)}
	}
}

// Listen opens the private socket, readable by its owner only.
func Listen(path string) (net.Listener, error) {
	if err := prepareSocket(path); err != nil {
		return nil, err
	}
	return net.Listen("unix", path)
}
