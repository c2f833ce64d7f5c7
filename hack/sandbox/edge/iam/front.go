package iam

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/versity/versitygw/iamapi/iamerr"
	"github.com/versity/versitygw/iamapi/policy"
	"github.com/versity/versitygw/iamapi/types"

	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/calls"
	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/fault"
)

// STS hands out sessions.
type STS interface {
	// Knows reports whether the token names an issuer that is ours to verify.
	Knows(token string) bool
	// ProviderURL is the issuer without its scheme.
	ProviderURL() string
	// Assume decides AssumeRoleWithWebIdentity for the issuers it knows, and
	// returns the response document.
	Assume(ctx context.Context, form url.Values, sourceIP string) (any, error)
	// AssumeRole decides it for a user, nil for the account's root credential, and
	// returns the response document.
	AssumeRole(ctx context.Context, caller *types.User, form url.Values, sourceIP string) (any, error)
}

// Front is the public IAM and STS endpoint.
type Front struct {
	store  *Store
	gate   *Gate
	sts    STS
	calls  *calls.Counter
	faults *fault.Board
	proxy  *httputil.ReverseProxy
}

// Credentials is a long-lived access key and its secret.
type Credentials struct{ AccessKeyID, SecretAccessKey string }

// NewFront returns the public endpoint over versitygw's API on the given socket.
func NewFront(store *Store, gate *Gate, socket string, sts STS, counter *calls.Counter, faults *fault.Board) *Front {
	f := &Front{store: store, gate: gate, sts: sts, calls: counter, faults: faults}
	f.proxy = &httputil.ReverseProxy{
		Transport: unixTransport(socket),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", "iam"
			r.Out.Host = r.In.Host // signed
		},
		ModifyResponse: f.addBoundary,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			writeError(w, iamerr.GetAPIError(iamerr.ErrInternalFailure), "")
			fmt.Printf("iam: forward: %v\n", err)
		},
	}
	return f
}

// checkTrust holds a trust policy on the sandbox's issuer to the rule that AWS has
// for the issuer it stands for: without a scoped sub it is malformed.
func (f *Front) checkTrust(action string, form url.Values) error {
	document := form.Get("AssumeRolePolicyDocument")
	if action == "UpdateAssumeRolePolicy" {
		document = form.Get("PolicyDocument")
	} else if action != "CreateRole" {
		return nil
	}
	if document == "" {
		return nil
	}
	return policy.ParseTrust(strings.ReplaceAll(document, f.sts.ProviderURL(), gitHubIssuer))
}

const gitHubIssuer = "token.actions.githubusercontent.com"

type formKey struct{}

// ServeHTTP implements http.Handler.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	if err != nil {
		http.Error(w, "request too large", http.StatusRequestEntityTooLarge)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	form := r.URL.Query()
	if posted, err := url.ParseQuery(string(body)); err == nil {
		for name, values := range posted {
			form[name] = values
		}
	}
	action := form.Get("Action")
	service := "iam"
	if action == "GetCallerIdentity" || strings.HasPrefix(action, "Assume") {
		service = "sts"
	}
	f.calls.Add(service, action)
	if f.faults.Intercept(w, r, service, action) {
		return
	}

	if err := f.checkTrust(action, form); err != nil {
		respond(w, nil, err, iamerr.Namespace)
		return
	}
	switch {
	case action == "AssumeRoleWithWebIdentity" && f.sts.Knows(form.Get("WebIdentityToken")):
		host, _, _ := strings.Cut(r.RemoteAddr, ":")
		result, err := f.sts.Assume(r.Context(), form, host)
		respond(w, result, err, iamerr.STSNamespace)
	case action == "AssumeRole":
		result, err := f.assumeRole(r, body, form)
		respond(w, result, err, iamerr.STSNamespace)
	case f.answers(action) != nil:
		result, err := f.answer(r, body, action, form)
		respond(w, result, err, iamerr.Namespace)
	default:
		f.proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), formKey{}, form)))
	}
}

func (f *Front) assumeRole(r *http.Request, body []byte, form url.Values) (any, error) {
	caller, err := f.gate.Authenticate(r, body)
	if err != nil {
		return nil, err
	}
	host, _, _ := strings.Cut(r.RemoteAddr, ":")
	return f.sts.AssumeRole(r.Context(), caller, form, host)
}

// addBoundary completes versitygw's answers about a role or user: it keeps what
// it was created with, and reports it where AWS does.
func (f *Front) addBoundary(resp *http.Response) error {
	form, _ := resp.Request.Context().Value(formKey{}).(url.Values)
	action, kind := form.Get("Action"), "Role"
	name, set, get := form.Get("RoleName"), f.store.SetPermissionsBoundary, f.store.PermissionsBoundary
	if strings.HasSuffix(action, "User") {
		kind, name, set, get = "User", form.Get("UserName"), f.store.SetUserPermissionsBoundary, f.store.UserPermissionsBoundary
	}
	if resp.StatusCode != http.StatusOK || name == "" || (action != "Create"+kind && action != "Get"+kind) {
		return nil
	}
	ctx := resp.Request.Context()
	if boundary := form.Get("PermissionsBoundary"); action == "Create"+kind && boundary != "" {
		if err := set(ctx, name, boundary); err != nil {
			return err
		}
	}
	boundary, err := get(ctx, name)
	if err != nil || boundary == "" {
		return err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBodyBytes))
	if err != nil {
		return err
	}
	var arn bytes.Buffer
	if err := xml.EscapeText(&arn, []byte(boundary)); err != nil {
		return err
	}
	element := "<PermissionsBoundary><PermissionsBoundaryType>Policy</PermissionsBoundaryType>" +
		"<PermissionsBoundaryArn>" + arn.String() + "</PermissionsBoundaryArn></PermissionsBoundary></" + kind + ">"
	body = bytes.Replace(body, []byte("</"+kind+">"), []byte(element), 1)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}

// metadata is the part of every response that names the request.
type metadata struct {
	RequestID string `xml:"RequestId"`
}

func respond(w http.ResponseWriter, result any, err error, namespace string) {
	if err != nil {
		var apiErr iamerr.Error
		if !errors.As(err, &apiErr) {
			fmt.Printf("iam: %v\n", err)
			apiErr = iamerr.GetAPIError(iamerr.ErrInternalFailure)
		}
		apiErr.XMLNamespace = namespace
		writeError(w, apiErr, uuid.NewString())
		return
	}
	body, err := xml.Marshal(result)
	if err != nil {
		writeError(w, iamerr.GetAPIError(iamerr.ErrInternalFailure), uuid.NewString())
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	_, _ = w.Write(body)
}

func writeError(w http.ResponseWriter, err iamerr.Error, requestID string) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(err.StatusCode())
	_, _ = w.Write(err.XMLBody(requestID))
}
