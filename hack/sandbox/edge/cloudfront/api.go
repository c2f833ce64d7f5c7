// Package cloudfront speaks the part of CloudFront's API that creates and follows
// invalidations (REST-XML, version 2020-05-31). Standard library only.
package cloudfront

import (
	"crypto/rand"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/calls"
	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/fault"
)

// CloudFront's quotas of what may be in progress at once.
const (
	maxWildcards = 15
	maxPaths     = 3000
	maxBody      = 1 << 20

	inProgress = "InProgress"
	completed  = "Completed"
)

// Gate authenticates and authorizes a caller.
type Gate interface {
	Authorize(r *http.Request, body []byte, action, resource string) error
}

// Cache is what an invalidation empties.
type Cache interface{ Invalidate(patterns []string) int }

// API is the endpoint of one distribution.
type API struct {
	distribution, arn string
	cache             Cache
	gate              Gate
	calls             *calls.Counter
	faults            *fault.Board

	mu            sync.Mutex
	delay         time.Duration
	hold          bool
	invalidations []*invalidation
}

type invalidation struct {
	id, reference string
	paths         []string
	created       time.Time
	status        string
	// due is reached by a timer; while the API holds, the invalidation waits.
	due bool
}

// New returns the API of a distribution. An invalidation takes effect, and is
// Completed, delay after it was asked for.
func New(accountID, distribution string, delay time.Duration, cache Cache, gate Gate, counter *calls.Counter, faults *fault.Board) *API {
	return &API{
		distribution: distribution, arn: "arn:aws:cloudfront::" + accountID + ":distribution/" + distribution,
		cache: cache, gate: gate, calls: counter, faults: faults, delay: delay,
	}
}

// Behavior is what the debug endpoint can change.
type Behavior struct {
	// DelayMillis is how long an invalidation takes.
	DelayMillis *int `json:"delayMillis,omitempty"`
	// Hold keeps invalidations in progress until it is lifted.
	Hold *bool `json:"hold,omitempty"`
}

// Change applies the fields that are set.
func (a *API) Change(b Behavior) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if b.DelayMillis != nil {
		a.delay = time.Duration(*b.DelayMillis) * time.Millisecond
	}
	if b.Hold != nil {
		a.hold = *b.Hold
		for _, inv := range a.invalidations {
			a.complete(inv)
		}
	}
}

// ServeDebug is POST /debug/cloudfront with a Behavior.
func (a *API) ServeDebug(w http.ResponseWriter, r *http.Request) {
	var b Behavior
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&b); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	a.Change(b)
	w.WriteHeader(http.StatusNoContent)
}

// complete finishes an invalidation that is due, unless the API holds.
func (a *API) complete(inv *invalidation) {
	if !inv.due || a.hold || inv.status == completed {
		return
	}
	a.cache.Invalidate(inv.paths)
	inv.status = completed
}

// Handler serves the API.
func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	const base = "/2020-05-31/distribution/{distribution}/invalidation"
	mux.Handle("POST "+base, a.operation("CreateInvalidation", a.create))
	mux.Handle("GET "+base+"/{id}", a.operation("GetInvalidation", a.get))
	mux.Handle("GET "+base, a.operation("ListInvalidations", a.list))
	return mux
}

type apiError struct {
	status        int
	code, message string
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

func (a *API) operation(name string, serve func(*http.Request, []byte) (int, any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.calls.Add("cloudfront", name)
		if a.faults.Intercept(w, r, "cloudfront", name) {
			return
		}
		status, result, err := a.run(w, r, name, serve)
		if err != nil {
			status, result = errorDocument(err)
		}
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, xml.Header)
		_ = xml.NewEncoder(w).Encode(result)
	})
}

func (a *API) run(w http.ResponseWriter, r *http.Request, name string, serve func(*http.Request, []byte) (int, any, error)) (int, any, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return 0, nil, &apiError{http.StatusRequestEntityTooLarge, "BatchTooLarge", err.Error()}
	}
	if err := a.gate.Authorize(r, body, "cloudfront:"+name, a.arn); err != nil {
		return 0, nil, &apiError{http.StatusForbidden, "AccessDenied", err.Error()}
	}
	if r.PathValue("distribution") != a.distribution {
		return 0, nil, &apiError{http.StatusNotFound, "NoSuchDistribution", "The specified distribution does not exist."}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return serve(r, body)
}

func errorDocument(err error) (int, any) {
	var e *apiError
	if !errors.As(err, &e) {
		e = &apiError{http.StatusInternalServerError, "InternalFailure", err.Error()}
	}
	type detail struct{ Type, Code, Message string }
	return e.status, struct {
		XMLName   xml.Name `xml:"http://cloudfront.amazonaws.com/doc/2020-05-31/ ErrorResponse"`
		Error     detail
		RequestID string `xml:"RequestId"`
	}{Error: detail{"Sender", e.code, e.message}, RequestID: rand.Text()}
}

type batch struct {
	Paths struct {
		Quantity int
		Items    struct {
			Path []string
		}
	}
	CallerReference string
}

type document struct {
	XMLName    xml.Name `xml:"http://cloudfront.amazonaws.com/doc/2020-05-31/ Invalidation"`
	ID         string   `xml:"Id"`
	Status     string
	CreateTime string
	Batch      batch `xml:"InvalidationBatch"`
}

func (inv *invalidation) document() *document {
	d := &document{ID: inv.id, Status: inv.status, CreateTime: inv.created.UTC().Format(time.RFC3339)}
	d.Batch.CallerReference = inv.reference
	d.Batch.Paths.Quantity = len(inv.paths)
	d.Batch.Paths.Items.Path = inv.paths
	return d
}

func (a *API) create(_ *http.Request, body []byte) (int, any, error) {
	var asked batch
	if err := xml.Unmarshal(body, &asked); err != nil {
		return 0, nil, &apiError{http.StatusBadRequest, "MalformedXML", err.Error()}
	}
	paths := asked.Paths.Items.Path
	if err := checkBatch(asked); err != nil {
		return 0, nil, err
	}
	for _, earlier := range a.invalidations {
		if earlier.reference != asked.CallerReference {
			continue
		}
		if !slices.Equal(earlier.paths, paths) {
			return 0, nil, &apiError{http.StatusBadRequest, "InvalidationBatchAlreadyExists", "The caller reference was used for other paths."}
		}
		return http.StatusCreated, earlier.document(), nil
	}
	if err := a.checkQuota(paths); err != nil {
		return 0, nil, err
	}
	inv := &invalidation{id: "I" + rand.Text()[:13], reference: asked.CallerReference, paths: paths, created: time.Now(), status: inProgress}
	a.invalidations = append(a.invalidations, inv)
	time.AfterFunc(a.delay, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		inv.due = true
		a.complete(inv)
	})
	return http.StatusCreated, inv.document(), nil
}

func checkBatch(asked batch) error {
	paths := asked.Paths.Items.Path
	invalid := func(message string) error { return &apiError{http.StatusBadRequest, "InvalidArgument", message} }
	switch {
	case asked.CallerReference == "":
		return &apiError{http.StatusBadRequest, "MissingBody", "CallerReference is required."}
	case len(paths) == 0:
		return invalid("Your request must have at least one path.")
	case asked.Paths.Quantity != len(paths):
		return &apiError{http.StatusBadRequest, "InconsistentQuantities", "The value of Quantity and the size of Items don't match."}
	}
	for _, path := range paths {
		if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, " ?") {
			return invalid("Your request contains one or more invalid invalidation paths: " + path)
		}
		if i := strings.IndexByte(path, '*'); i >= 0 && i != len(path)-1 {
			return invalid("The * may only be the last character of a path: " + path)
		}
	}
	return nil
}

func (a *API) checkQuota(paths []string) error {
	wildcards, plain := 0, 0
	count := func(paths []string) {
		for _, path := range paths {
			if strings.HasSuffix(path, "*") {
				wildcards++
			} else {
				plain++
			}
		}
	}
	count(paths)
	for _, inv := range a.invalidations {
		if inv.status == inProgress {
			count(inv.paths)
		}
	}
	if wildcards > maxWildcards || plain > maxPaths {
		return &apiError{http.StatusBadRequest, "TooManyInvalidationsInProgress",
			"You have exceeded the maximum number of allowable InProgress invalidation requests."}
	}
	return nil
}

func (a *API) get(r *http.Request, _ []byte) (int, any, error) {
	for _, inv := range a.invalidations {
		if inv.id == r.PathValue("id") {
			return http.StatusOK, inv.document(), nil
		}
	}
	return 0, nil, &apiError{http.StatusNotFound, "NoSuchInvalidation", "The specified invalidation does not exist."}
}

type summary struct {
	CreateTime string
	ID         string `xml:"Id"`
	Status     string
}

type listDocument struct {
	XMLName     xml.Name `xml:"http://cloudfront.amazonaws.com/doc/2020-05-31/ InvalidationList"`
	Marker      string
	MaxItems    int
	IsTruncated bool
	Quantity    int
	Items       []summary `xml:"Items>InvalidationSummary"`
}

// list answers with everything in one page, newest first.
func (a *API) list(*http.Request, []byte) (int, any, error) {
	doc := &listDocument{MaxItems: max(100, len(a.invalidations)), Quantity: len(a.invalidations)}
	for _, inv := range slices.Backward(a.invalidations) {
		doc.Items = append(doc.Items, summary{CreateTime: inv.created.UTC().Format(time.RFC3339), ID: inv.id, Status: inv.status})
	}
	return http.StatusOK, doc, nil
}
