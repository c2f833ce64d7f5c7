package s3front

import (
	"net/http"
	"net/url"
	"strings"
)

func unescape(path string) string {
	plain, err := url.PathUnescape(path)
	if err != nil {
		return path
	}
	return plain
}

// subresources are query parameters that turn a request into another operation,
// with the noun they stand for.
var subresources = []struct{ query, noun string }{
	{"tagging", "Tagging"}, {"acl", "Acl"}, {"policy", "Policy"}, {"versioning", "Versioning"},
	{"website", "Website"}, {"lifecycle", "LifecycleConfiguration"}, {"object-lock", "ObjectLockConfiguration"},
	{"retention", "Retention"}, {"legal-hold", "LegalHold"}, {"notification", "NotificationConfiguration"},
	{"location", "Location"}, {"cors", "Cors"}, {"ownershipControls", "OwnershipControls"},
	{"publicAccessBlock", "PublicAccessBlock"}, {"attributes", "Attributes"}, {"encryption", "Encryption"},
}

// Operation names the S3 operation of a path-style request, as the API
// reference does.
func Operation(r *http.Request) string {
	q := r.URL.Query()
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case bucket == "":
		return "ListBuckets"
	case key == "":
		return bucketOperation(r, q)
	default:
		return objectOperation(r, q)
	}
}

func subresource(r *http.Request, q url.Values, thing string) (string, bool) {
	for _, s := range subresources {
		if !q.Has(s.query) {
			continue
		}
		verb := map[string]string{http.MethodGet: "Get", http.MethodPut: "Put", http.MethodDelete: "Delete"}[r.Method]
		return verb + thing + s.noun, true
	}
	return "", false
}

func bucketOperation(r *http.Request, q url.Values) string {
	if name, ok := subresource(r, q, "Bucket"); ok {
		return name
	}
	switch r.Method {
	case http.MethodHead:
		return "HeadBucket"
	case http.MethodPut:
		return "CreateBucket"
	case http.MethodDelete:
		return "DeleteBucket"
	case http.MethodPost:
		if q.Has("delete") {
			return "DeleteObjects"
		}
		return "PostObject"
	}
	switch {
	case q.Has("versions"):
		return "ListObjectVersions"
	case q.Has("uploads"):
		return "ListMultipartUploads"
	case q.Get("list-type") == "2":
		return "ListObjectsV2"
	}
	return "ListObjects"
}

func objectOperation(r *http.Request, q url.Values) string {
	if name, ok := subresource(r, q, "Object"); ok {
		return name
	}
	copying := r.Header.Get("X-Amz-Copy-Source") != ""
	upload := q.Has("uploadId")
	switch r.Method {
	case http.MethodGet:
		if upload {
			return "ListParts"
		}
		return "GetObject"
	case http.MethodHead:
		return "HeadObject"
	case http.MethodDelete:
		if upload {
			return "AbortMultipartUpload"
		}
		return "DeleteObject"
	case http.MethodPost:
		switch {
		case q.Has("uploads"):
			return "CreateMultipartUpload"
		case upload:
			return "CompleteMultipartUpload"
		}
		return "PostObject"
	case http.MethodPut:
		switch {
		case upload && copying:
			return "UploadPartCopy"
		case upload:
			return "UploadPart"
		case copying:
			return "CopyObject"
		}
		return "PutObject"
	}
	return r.Method
}
