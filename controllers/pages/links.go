package pages

import (
	"net/netip"
	"net/url"
	"strings"

	"github.com/pytorch/platform-lane-operator/controllers/layout"
)

// relative is the way from a page to another key, a folder's with a slash at its
// end, as a path. Relative paths make a page right below every public base URL.
func relative(pageKey, key string) string {
	up := strings.Split(pageKey, "/")
	down := strings.Split(key, "/")
	up, name := up[:len(up)-1], down[len(down)-1]
	down = down[:len(down)-1]
	for len(up) > 0 && len(down) > 0 && up[0] == down[0] {
		up, down = up[1:], down[1:]
	}
	path := strings.Repeat("../", len(up))
	for _, folder := range down {
		path += layout.EscapeKey(folder) + "/"
	}
	return path + layout.EscapeKey(name)
}

// isSecureOrigin tells whether a URL is on an origin that nobody on the way can
// pretend to be: https, or this machine itself.
func isSecureOrigin(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && ip.IsLoopback())
}
