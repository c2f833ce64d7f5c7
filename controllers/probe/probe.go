// Package probe asks public URLs, as an anonymous client would, whether a file
// that was taken back can still be had, and says what the answer proves.
//
// It imports the standard library and an HTML parser only.
package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Outcome is what an answer proves.
type Outcome string

// The outcomes of a probe.
const (
	// Proven: the answer is what the yank demands.
	Proven Outcome = "Proven"
	// Refuted: the file can still be had.
	Refuted Outcome = "Refuted"
	// Unproven: no answer, or one that says nothing (a timeout, a 5xx).
	Unproven Outcome = "Unproven"
)

// Result is one probe, as it goes into the record.
type Result struct {
	URL     string  `json:"url"`
	Status  int     `json:"status,omitempty"`
	Outcome Outcome `json:"outcome"`
	// Detail says what the answer means, in words.
	Detail string `json:"detail"`
}

// maxPage bounds an index page that is read back, in bytes. The page of a
// project with 100,000 files has about 45 MB.
const maxPage = 128 << 20

// Prober sends the probes.
type Prober struct {
	client *http.Client
}

// New is a prober whose requests end after timeout, page bodies included. It
// sends no credentials and follows up to three redirects, as installers do.
func New(timeout time.Duration) *Prober {
	return &Prober{client: &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
			MaxIdleConnsPerHost:   4,
			IdleConnTimeout:       30 * time.Second,
			ResponseHeaderTimeout: timeout,
			DisableCompression:    true,
		},
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			if len(via) > 3 {
				return errors.New("more than three redirects")
			}
			return nil
		},
	}}
}

// Gone proves that the bytes behind a URL are refused: 403, 404, 405 or 410. It
// asks for the first byte only.
func (p *Prober) Gone(ctx context.Context, url string) Result {
	status, _, err := p.get(ctx, url, "", "bytes=0-0", 1)
	r := Result{URL: url, Status: status}
	switch {
	case err != nil:
		r.Outcome, r.Detail = Unproven, "no answer: "+err.Error()
	case status >= 200 && status < 300 || status == http.StatusRequestedRangeNotSatisfiable || status == http.StatusNotModified:
		r.Outcome, r.Detail = Refuted, "still served"
	case status == http.StatusForbidden, status == http.StatusNotFound, status == http.StatusGone, status == http.StatusMethodNotAllowed:
		r.Outcome, r.Detail = Proven, "refused"
	default:
		r.Outcome, r.Detail = Unproven, fmt.Sprintf("status %d proves nothing", status)
	}
	return r
}

// Unlisted proves that an index page, as published, lists none of the files.
// accept is the media type to ask for.
func (p *Prober) Unlisted(ctx context.Context, url, accept string, files []string) Result {
	return p.page(ctx, url, accept, func(on map[string]listed) (Outcome, string) {
		for _, name := range files {
			if _, there := on[name]; there {
				return Refuted, "still lists " + name
			}
		}
		return Proven, fmt.Sprintf("lists %d files, none of them taken back", len(on))
	})
}

// Flagged proves that an index page marks the files as yanked (PEP 592), or
// does not list them.
func (p *Prober) Flagged(ctx context.Context, url, accept string, files []string) Result {
	return p.page(ctx, url, accept, func(on map[string]listed) (Outcome, string) {
		for _, name := range files {
			if f, there := on[name]; there && !f.yanked {
				return Refuted, "lists " + name + " without marking it as yanked"
			}
		}
		return Proven, fmt.Sprintf("lists %d files, those taken back are marked", len(on))
	})
}

func (p *Prober) page(ctx context.Context, url, accept string, judge func(map[string]listed) (Outcome, string)) Result {
	status, body, err := p.get(ctx, url, accept, "", maxPage)
	r := Result{URL: url, Status: status}
	if err != nil {
		r.Outcome, r.Detail = Unproven, "no answer: "+err.Error()
		return r
	}
	if status != http.StatusOK {
		// Not even an empty page: whatever the reason, it is not the page that
		// was published.
		r.Outcome, r.Detail = Unproven, fmt.Sprintf("status %d instead of the page", status)
		return r
	}
	on, isIndex, err := parsePage(body)
	if err != nil {
		r.Outcome, r.Detail = Unproven, "not an index page: "+err.Error()
		return r
	}
	if r.Outcome, r.Detail = judge(on); r.Outcome == Proven && !isIndex {
		r.Outcome, r.Detail = Unproven, "what is served there does not say that it is a simple index (PEP 629)"
	}
	return r
}

// get reads at most limit bytes of the answer; more is an error for pages and
// cut off for the one byte of a file.
func (p *Prober) get(ctx context.Context, url, accept, byteRange string, limit int64) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("User-Agent", "platform-lane-operator probe")
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	if byteRange != "" {
		req.Header.Set("Range", byteRange)
	}
	res, err := p.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err != nil {
		return res.StatusCode, nil, err
	}
	if int64(len(body)) > limit && byteRange == "" {
		return res.StatusCode, nil, fmt.Errorf("the page is larger than %d bytes", limit)
	}
	return res.StatusCode, body, nil
}
