package iam

import (
	"context"
	"encoding/xml"
	"net/http"
	"net/url"
	"strconv"

	"github.com/google/uuid"
	"github.com/versity/versitygw/iamapi/iamerr"
)

// Bounds of a role's MaxSessionDuration in seconds, and of its description.
const (
	minSessionSeconds  = 3600
	maxSessionSeconds  = 43200
	maxDescriptionSize = 1000
)

// answers returns the function behind an action that versitygw lacks, or nil.
func (f *Front) answers(action string) func(context.Context, url.Values) (any, error) {
	switch action {
	case "ListAttachedRolePolicies":
		return f.listAttachedRolePolicies
	case "UpdateRole":
		return f.updateRole
	case "PutRolePermissionsBoundary":
		return f.putRolePermissionsBoundary
	case "DeleteRolePermissionsBoundary":
		return f.deleteRolePermissionsBoundary
	case "AttachRolePolicy", "DetachUserPolicy":
		return noSuchPolicy
	case "ListAttachedUserPolicies":
		return listAttachedUserPolicies
	case "PutUserPermissionsBoundary":
		return f.putUserPermissionsBoundary
	}
	return nil
}

// answer authenticates and authorizes the caller as versitygw would, then acts.
func (f *Front) answer(r *http.Request, body []byte, action string, form url.Values) (any, error) {
	resource, missing := f.resource(r.Context(), form)
	if err := f.gate.Authorize(r, body, "iam:"+action, resource); err != nil {
		return nil, err
	}
	if missing != nil {
		return nil, missing
	}
	return f.answers(action)(r.Context(), form)
}

// resource is the ARN of the role or user that a request names, or * with the
// reason why it has none.
func (f *Front) resource(ctx context.Context, form url.Values) (string, error) {
	if form.Has("UserName") {
		user, err := f.store.GetUser(ctx, form.Get("UserName"))
		if err != nil {
			return "*", err
		}
		return user.Arn, nil
	}
	role, err := f.store.GetRole(ctx, form.Get("RoleName"))
	if err != nil {
		return "*", err
	}
	return role.Arn, nil
}

type emptyResponse struct {
	XMLName          xml.Name
	ResponseMetadata metadata
}

func done(action string) *emptyResponse {
	return &emptyResponse{
		XMLName:          xml.Name{Space: iamerr.Namespace, Local: action + "Response"},
		ResponseMetadata: metadata{RequestID: uuid.NewString()},
	}
}

type listAttachedRolePoliciesResponse struct {
	XMLName xml.Name `xml:"https://iam.amazonaws.com/doc/2010-05-08/ ListAttachedRolePoliciesResponse"`
	Result  struct {
		AttachedPolicies struct{}
		IsTruncated      bool
	} `xml:"ListAttachedRolePoliciesResult"`
	ResponseMetadata metadata
}

// listAttachedRolePolicies answers with an empty list: this account has no
// managed policies.
func (f *Front) listAttachedRolePolicies(context.Context, url.Values) (any, error) {
	return &listAttachedRolePoliciesResponse{ResponseMetadata: metadata{RequestID: uuid.NewString()}}, nil
}

type listAttachedUserPoliciesResponse struct {
	XMLName xml.Name `xml:"https://iam.amazonaws.com/doc/2010-05-08/ ListAttachedUserPoliciesResponse"`
	Result  struct {
		AttachedPolicies struct{}
		IsTruncated      bool
	} `xml:"ListAttachedUserPoliciesResult"`
	ResponseMetadata metadata
}

func listAttachedUserPolicies(context.Context, url.Values) (any, error) {
	return &listAttachedUserPoliciesResponse{ResponseMetadata: metadata{RequestID: uuid.NewString()}}, nil
}

func noSuchPolicy(_ context.Context, form url.Values) (any, error) {
	return nil, iamerr.Error{
		Type: iamerr.TypeSender, Code: "NoSuchEntity", HTTPStatusCode: http.StatusNotFound,
		Message: "Policy " + form.Get("PolicyArn") + " does not exist or is not attachable.",
	}
}

func (f *Front) updateRole(ctx context.Context, form url.Values) (any, error) {
	var seconds int32
	if raw := form.Get("MaxSessionDuration"); raw != "" {
		n, err := strconv.ParseInt(raw, 10, 32)
		switch {
		case err != nil:
			return nil, iamerr.MalformedInput()
		case n < minSessionSeconds:
			return nil, iamerr.MaxSessionDurationTooLow()
		case n > maxSessionSeconds:
			return nil, iamerr.MaxSessionDurationTooHigh()
		}
		seconds = int32(n)
	}
	var description *string
	if values, ok := form["Description"]; ok && len(values) > 0 {
		if len(values[0]) > maxDescriptionSize {
			return nil, iamerr.ValueTooLong("description", maxDescriptionSize)
		}
		description = &values[0]
	}
	if err := f.store.UpdateRole(ctx, form.Get("RoleName"), description, seconds); err != nil {
		return nil, err
	}
	return &updateRoleResponse{ResponseMetadata: metadata{RequestID: uuid.NewString()}}, nil
}

// updateRoleResponse holds an empty result, without which SDKs take the answer for
// a broken one.
type updateRoleResponse struct {
	XMLName          xml.Name `xml:"https://iam.amazonaws.com/doc/2010-05-08/ UpdateRoleResponse"`
	Result           struct{} `xml:"UpdateRoleResult"`
	ResponseMetadata metadata
}

func (f *Front) putRolePermissionsBoundary(ctx context.Context, form url.Values) (any, error) {
	arn := form.Get("PermissionsBoundary")
	if arn == "" {
		return nil, iamerr.MissingValue("permissionsBoundary")
	}
	if err := f.store.SetPermissionsBoundary(ctx, form.Get("RoleName"), arn); err != nil {
		return nil, err
	}
	return done("PutRolePermissionsBoundary"), nil
}

func (f *Front) deleteRolePermissionsBoundary(ctx context.Context, form url.Values) (any, error) {
	if err := f.store.SetPermissionsBoundary(ctx, form.Get("RoleName"), ""); err != nil {
		return nil, err
	}
	return done("DeleteRolePermissionsBoundary"), nil
}

func (f *Front) putUserPermissionsBoundary(ctx context.Context, form url.Values) (any, error) {
	arn := form.Get("PermissionsBoundary")
	if arn == "" {
		return nil, iamerr.MissingValue("permissionsBoundary")
	}
	if err := f.store.SetUserPermissionsBoundary(ctx, form.Get("UserName"), arn); err != nil {
		return nil, err
	}
	return done("PutUserPermissionsBoundary"), nil
}
