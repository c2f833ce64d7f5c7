package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/pep440"
	"github.com/pytorch/platform-lane-operator/controllers/simpleindex"
)

// The defaults of [Options].
const (
	DefaultPageBytes = 100 << 20
	DefaultTimeout   = time.Minute
)

// maxRedirects is how many hops a request follows.
const maxRedirects = 3

// accept asks for JSON and takes HTML.
const accept = simpleindex.TypeJSON + ", " + simpleindex.TypeHTML + ";q=0.2, " + simpleindex.TypeLegacyHTML + ";q=0.1"

// ErrNotAllowed is returned for an index that is not on the allow-list.
var ErrNotAllowed = errors.New("the index is not on the operator's allow-list (dependencyIndexURLs)")

// Options say where a client may connect to and what it accepts.
type Options struct {
	// IndexURLs is the allow-list: addresses of simple indexes.
	IndexURLs []string
	// PageBytes is the largest page, unpacked. Default 100 MiB.
	PageBytes int64
	// Timeout of one page. Default a minute.
	Timeout time.Duration
	// RootCAs replaces the system's certificate authorities.
	RootCAs *x509.CertPool
}

// Client reads project pages. It is safe for concurrent use.
type Client struct {
	// allowed are the addresses of the indexes, without a slash at the end.
	allowed map[string]bool
	// hosts are their schemes and hosts.
	hosts     map[string]bool
	pageBytes int64
	http      http.Client

	// proxies are what the environment names: they may lie anywhere.
	mu      sync.Mutex
	proxies map[string]bool
}

// New is a client for the indexes on an allow-list. It sends no request.
func New(o Options) *Client {
	c := &Client{allowed: map[string]bool{}, hosts: map[string]bool{}, pageBytes: o.PageBytes, proxies: map[string]bool{}}
	if c.pageBytes <= 0 {
		c.pageBytes = DefaultPageBytes
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	for _, index := range o.IndexURLs {
		c.allowed[strings.TrimRight(index, "/")] = true
		if u, err := url.Parse(index); err == nil {
			c.hosts[hostOf(u)] = true
		}
	}
	c.http = http.Client{
		Timeout:       o.Timeout,
		CheckRedirect: c.redirect,
		Transport: &http.Transport{
			Proxy:                  c.proxy,
			DialContext:            c.dial,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs},
			ForceAttemptHTTP2:      true,
			MaxIdleConnsPerHost:    2,
			IdleConnTimeout:        30 * time.Second,
			TLSHandshakeTimeout:    10 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		},
	}
	return c
}

// Allows tells whether an index is on the allow-list.
func (c *Client) Allows(indexURL string) bool { return c.allowed[strings.TrimRight(indexURL, "/")] }

// Validator is what a server calls the state of a page, for the next request.
type Validator struct {
	ETag, LastModified string
}

// Fetch reads the page of a project. With the validator of an earlier answer it
// may find that nothing changed: Page.Unchanged is then true and the page has no
// files. An error says what is wrong with the answer and leaves what was known
// before standing.
func (c *Client) Fetch(ctx context.Context, indexURL, project string, since Validator) (Page, error) {
	if !c.Allows(indexURL) {
		return Page{}, fmt.Errorf("%s: %w", simpleindex.Quote(indexURL), ErrNotAllowed)
	}
	if normal, err := pep440.NormalizeProject(project); err != nil || normal != project {
		return Page{}, fmt.Errorf("%s is no normalised project name", simpleindex.Quote(project))
	}
	address := strings.TrimRight(indexURL, "/") + "/" + project + "/"
	page, err := c.fetch(ctx, address, project, since)
	if err != nil {
		return Page{}, fmt.Errorf("read %s: %w", address, err)
	}
	return page, nil
}

func (c *Client) fetch(ctx context.Context, address, project string, since Validator) (Page, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return Page{}, err
	}
	req.Header.Set("User-Agent", "platform-lane-operator")
	req.Header.Set("Accept", accept)
	if since.ETag != "" {
		req.Header.Set("If-None-Match", since.ETag)
	}
	if since.LastModified != "" {
		req.Header.Set("If-Modified-Since", since.LastModified)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return Page{}, plain(err)
	}
	defer func() { _ = res.Body.Close() }()
	switch {
	case res.StatusCode == http.StatusNotModified && since != Validator{}:
		return Page{Unchanged: true, Validator: since}, nil
	case res.StatusCode != http.StatusOK:
		return Page{}, fmt.Errorf("status %d instead of the page", res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, c.pageBytes+1))
	if err != nil {
		return Page{}, fmt.Errorf("the page broke off: %w", plain(err))
	}
	contentType := res.Header.Get("Content-Type")
	if contentType == "" {
		contentType = "none"
	}
	page, err := read(simpleindex.Source{URL: res.Request.URL.String(), Project: project, ContentType: contentType, Body: body}, c.pageBytes)
	page.Validator = Validator{ETag: shortHeader(res, "ETag"), LastModified: shortHeader(res, "Last-Modified")}
	return page, err
}

// plain is an error of the transport without the addresses that differ from one
// attempt to the next: who repeats it tells nothing new.
func plain(err error) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		err = failed.Err
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return fmt.Errorf("%s: %w", op.Op, op.Err)
	}
	return err
}

// shortHeader is a header that is kept; nobody needs a long one.
func shortHeader(res *http.Response, name string) string {
	if value := res.Header.Get(name); len(value) <= 256 {
		return value
	}
	return ""
}

// redirect follows to the same host and to hosts on the allow-list, never from
// https to http.
func (c *Client) redirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	to, from := req.URL, via[0].URL
	if to.User != nil || hostOf(to) != hostOf(from) && !c.hosts[hostOf(to)] || from.Scheme == "https" && to.Scheme != "https" {
		return fmt.Errorf("it redirects to %s, which is not on the operator's allow-list (dependencyIndexURLs)", simpleindex.Quote(hostOf(to)))
	}
	return nil
}

// hostOf is the scheme and host of an address.
func hostOf(u *url.URL) string { return u.Scheme + "://" + strings.ToLower(u.Host) }

func (c *Client) proxy(req *http.Request) (*url.URL, error) {
	u, err := http.ProxyFromEnvironment(req)
	if u != nil {
		c.mu.Lock()
		c.proxies[u.Hostname()] = true
		c.mu.Unlock()
	}
	return u, err
}

// dial connects to where a name leads, unless that is a place no public index
// has. An address that is written as such was put on the allow-list as such.
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: 10 * time.Second}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	proxied := c.proxies[host]
	c.mu.Unlock()
	if net.ParseIP(host) == nil && host != "localhost" && !proxied {
		d.ControlContext = func(_ context.Context, _, resolved string, _ syscall.RawConn) error {
			return checkAddress(host, resolved)
		}
	}
	return d.DialContext(ctx, network, address)
}

// checkAddress refuses what a name must not lead to: this machine, its link (the
// metadata services of clouds are there) and what is no single host. Private
// networks may hold an index of their own: the operator's configuration names
// it, and TLS proves that it is the one.
func checkAddress(name, resolved string) error {
	host, _, err := net.SplitHostPort(resolved)
	if err != nil {
		return err
	}
	ip := net.ParseIP(host)
	if ip == nil || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() || ip.IsMulticast() || ip.Equal(net.IPv4bcast) {
		return fmt.Errorf("the name %s leads to %s, where no index may lie", name, host)
	}
	return nil
}
