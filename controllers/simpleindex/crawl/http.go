package crawl

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/simpleindex"
)

const (
	// pageTimeout bounds one page, fileTimeout one look at a file, and
	// hashTimeout one download.
	pageTimeout = 2 * time.Minute
	fileTimeout = time.Minute
	hashTimeout = 2 * time.Hour
	// maxRedirects is how many hops a request follows.
	maxRedirects = 5
	// maxMetadata is the largest METADATA that is read, in bytes.
	maxMetadata = 16 << 20
)

// HTTP checks the index at an http or https address. An error means that the
// index could not be checked; what is wrong with it stands in the report.
func HTTP(ctx context.Context, index string, o Options) (*Report, error) {
	o = o.withDefaults()
	u, err := url.Parse(index)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%s is no http or https address", simpleindex.Quote(index))
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the address of an index has no user name, query or fragment; leave them out")
	}
	if !strings.HasSuffix(u.Path, "/") {
		u.Path += "/"
	}
	client := o.Client
	if client == nil {
		client = &http.Client{Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: o.AtOnce, IdleConnTimeout: 30 * time.Second, ResponseHeaderTimeout: fileTimeout,
		}}
	}
	w := &web{o: o, client: *client}
	w.client.CheckRedirect = redirect
	root := u.String()
	answer, err := w.get(ctx, root, simpleindex.TypeLegacyHTML)
	if err != nil {
		return nil, fmt.Errorf("read the index: %w", err)
	}
	if answer.status != http.StatusOK && answer.status != http.StatusNotAcceptable && len(o.Projects) == 0 {
		return nil, fmt.Errorf("read the index: %s answers with status %d; check the address", root, answer.status)
	}
	if project := projectOf(answer); project != "" && len(o.Projects) == 0 {
		return nil, fmt.Errorf("%s is the page of one project, not the list of projects; name the folder above it, and the page with --project %s", root, project)
	}
	beside, err := w.get(ctx, root+layout.JSONPage, simpleindex.TypeJSON)
	w.beside = err == nil && beside.status == http.StatusOK
	return run(ctx, root, w, o)
}

// projectOf tells whose page an answer is if it lists files of one project, as
// its address says; it is empty for a list of projects.
func projectOf(a answer) string {
	u, err := url.Parse(a.url)
	if err != nil {
		return ""
	}
	project := path.Base(u.Path)
	read, _ := simpleindex.Read(simpleindex.Source{URL: a.url, Project: project, ContentType: a.header.Get("Content-Type"), Body: a.body}, simpleindex.Limits{})
	if read == nil {
		return ""
	}
	for _, file := range read.Files {
		if f, err := simpleindex.ParseFileName(file.Name, project); err == nil && f.Kind != simpleindex.Other && f.Project == project {
			return project
		}
	}
	return ""
}

// web is an index that is reached over HTTP.
type web struct {
	o      Options
	client http.Client
	// beside is true if the JSON of a page lies in a file of its own beside the
	// HTML, as a bucket without a front that negotiates has it.
	beside bool
}

// answer is what a server said.
type answer struct {
	status int
	url    string
	header http.Header
	body   []byte
	// moved is true if a permanent redirect led here.
	moved bool
}

// redirect bounds the hops of a request.
func redirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	if req.URL.Scheme != "http" && req.URL.Scheme != "https" {
		return fmt.Errorf("redirected to %s", simpleindex.Quote(req.URL.Scheme))
	}
	return nil
}

// get reads a page, one byte more than is allowed.
func (w *web) get(ctx context.Context, address, accept string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	res, err := w.do(ctx, http.MethodGet, address, "Accept", accept)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	a := answer{status: res.StatusCode, url: res.Request.URL.String(), header: res.Header, moved: movedPermanently(res)}
	if res.StatusCode == http.StatusOK {
		a.body, err = io.ReadAll(io.LimitReader(res.Body, w.o.Limits.PageBytes+1))
	}
	return a, err
}

// movedPermanently looks through the chain of redirects that led to an answer.
func movedPermanently(res *http.Response) bool {
	for before := res.Request.Response; before != nil; before = before.Request.Response {
		if before.StatusCode == http.StatusMovedPermanently || before.StatusCode == http.StatusPermanentRedirect {
			return true
		}
	}
	return false
}

func (w *web) do(ctx context.Context, method, address, header, value string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "platform-lane-operator index check")
	req.Header.Set(header, value)
	return w.client.Do(req)
}

// read asks for a page as HTML and as JSON.
func (w *web) read(ctx context.Context, address, project string, f *simpleindex.Findings) (docs []document) {
	inHTML, ok := w.ask(ctx, address, simpleindex.TypeLegacyHTML, f)
	var formats []simpleindex.Format
	if ok {
		docs = append(docs, w.document(inHTML, address, project))
		formats = append(formats, formatOf(inHTML))
		if formats[0] == simpleindex.JSON {
			f.Add("negotiation", 0, "", "asked for text/html, the server sends JSON, which older installers cannot read; heed the Accept header, and send HTML where it is absent or unknown")
		}
	}
	inJSON, ok := w.ask(ctx, address, simpleindex.TypeJSON, f)
	switch {
	case ok && formatOf(inJSON) == simpleindex.JSON && (len(formats) == 0 || formats[0] != simpleindex.JSON):
		if len(docs) > 0 && !variesByAccept(inJSON.header) && !variesByAccept(inHTML.header) {
			f.Add("vary-accept", 0, "", "the address answers in two formats without Vary: Accept, so that a cache may hand out the wrong one; add the header to both")
		}
		return append(docs, w.document(inJSON, address, project))
	case w.beside:
		if beside, ok := w.ask(ctx, address+layout.JSONPage, simpleindex.TypeJSON, f); ok {
			return append(docs, w.document(beside, address+layout.JSONPage, project))
		}
	}
	return docs
}

// ask reads one representation. ok is false if there is none, which is a finding
// unless the server says so in an orderly way.
func (w *web) ask(ctx context.Context, address, accept string, f *simpleindex.Findings) (answer, bool) {
	a, err := w.get(ctx, address, accept)
	switch {
	case ctx.Err() != nil:
		return a, false
	case err != nil:
		f.Add("page-unreachable", 0, "", "the page cannot be read as %s: %s", accept, simpleindex.Quote(err.Error()))
		return a, false
	case a.status == http.StatusNotFound, a.status == http.StatusGone, a.status == http.StatusNotAcceptable:
		return a, false
	case a.status != http.StatusOK:
		f.Add("page-unreachable", 0, "", "asked for %s, the server answers with status %d; installers stop there: serve the page, or 404 if there is none", accept, a.status)
		return a, false
	}
	if a.moved {
		f.Add("redirect-permanent", 0, "", "the address is redirected for good (301 or 308), and pip replays a stored one for ever; redirect with 302 or 307")
	}
	return a, true
}

func (w *web) document(a answer, address, project string) document {
	contentType := a.header.Get("Content-Type")
	if contentType == "" {
		contentType = "none"
	}
	return document{
		source: simpleindex.Source{URL: a.url, Name: address, Project: project, ContentType: contentType, Body: a.body}, header: a.header,
	}
}

func formatOf(a answer) simpleindex.Format {
	return simpleindex.CheckContentType(a.header.Get("Content-Type"), &simpleindex.Findings{})
}

func variesByAccept(h http.Header) bool {
	for _, line := range h.Values("Vary") {
		for part := range strings.SplitSeq(line, ",") {
			if part = strings.TrimSpace(part); part == "*" || strings.EqualFold(part, "Accept") {
				return true
			}
		}
	}
	return false
}

// finish has nothing to add: over HTTP nobody can tell what is not listed.
func (w *web) finish(context.Context, []string, *simpleindex.Findings) {}

// file asks for a file without its bytes, and for its METADATA.
func (w *web) file(ctx context.Context, file *simpleindex.File, f *simpleindex.Findings) {
	if !w.o.Files {
		return
	}
	within, cancel := context.WithTimeout(ctx, fileTimeout)
	defer cancel()
	res, err := w.do(within, http.MethodHead, file.URL, "Accept-Encoding", "identity")
	if err != nil {
		f.Add("file-unreachable", file.Line, file.Name, "%s cannot be reached (%s); installers fail on it: take it off the page", simpleindex.Quote(file.Name), simpleindex.Quote(err.Error()))
		return
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		f.Add("file-unreachable", file.Line, file.Name, "%s answers with status %d; installers fail on it: take it off the page, or put the file back", simpleindex.Quote(file.Name), res.StatusCode)
		return
	}
	simpleindex.CheckFileHeaders(file.Name, file.Line, res.Header, f)
	checkSize(file, res.ContentLength, f)
	if file.Metadata {
		data, err := w.fetch(ctx, file.URL+layout.MetadataSuffix)
		checkMetadata(file, data, err, f)
	}
	if w.o.Hashes && file.SHA256() != "" {
		sum, err := w.sum(ctx, file.URL)
		checkHash(file, sum, err, f)
	}
}

// fetch reads a small file.
func (w *web) fetch(ctx context.Context, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fileTimeout)
	defer cancel()
	var data []byte
	err := w.stream(ctx, address, func(body io.Reader) (err error) {
		data, err = io.ReadAll(io.LimitReader(body, maxMetadata+1))
		if err == nil && len(data) > maxMetadata {
			err = fmt.Errorf("it has more than %d bytes", maxMetadata)
		}
		return err
	})
	return data, err
}

// sum hashes a file of any size.
func (w *web) sum(ctx context.Context, address string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, hashTimeout)
	defer cancel()
	sum := sha256.New()
	err := w.stream(ctx, address, func(body io.Reader) error {
		_, err := io.Copy(sum, body)
		return err
	})
	return hex.EncodeToString(sum.Sum(nil)), err
}

func (w *web) stream(ctx context.Context, address string, read func(io.Reader) error) error {
	res, err := w.do(ctx, http.MethodGet, address, "Accept-Encoding", "identity")
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", res.StatusCode)
	}
	return read(res.Body)
}

func checkSize(file *simpleindex.File, have int64, f *simpleindex.Findings) {
	if file.Size >= 0 && have >= 0 && file.Size != have {
		f.Add("file-size", file.Line, file.Name, "%s has %d bytes, the page says %d; find out which is right, and whether the file was exchanged", simpleindex.Quote(file.Name), have, file.Size)
	}
}

func checkMetadata(file *simpleindex.File, data []byte, err error, f *simpleindex.Findings) {
	want := file.MetadataSHA256()
	if err != nil {
		f.Add("metadata-unreachable", file.Line, file.Name, "the METADATA of %s is announced and cannot be read (%s); installers fail on it: publish it, or do not announce it", simpleindex.Quote(file.Name), simpleindex.Quote(err.Error()))
		return
	}
	sum := sha256.Sum256(data)
	if got := hex.EncodeToString(sum[:]); want != "" && got != want {
		f.Add("metadata-hash", file.Line, file.Name, "the METADATA of %s has the SHA-256 %s, the page says %s; publish the METADATA that is in the wheel", simpleindex.Quote(file.Name), got, want)
	}
}

func checkHash(file *simpleindex.File, got string, err error, f *simpleindex.Findings) {
	switch {
	case err != nil:
		f.Add("file-unreachable", file.Line, file.Name, "%s cannot be downloaded (%s)", simpleindex.Quote(file.Name), simpleindex.Quote(err.Error()))
	case got != file.SHA256():
		f.Add("file-hash", file.Line, file.Name, "%s has the SHA-256 %s, the page says %s; the file was exchanged or the page is wrong: installers refuse it", simpleindex.Quote(file.Name), got, file.SHA256())
	}
}
