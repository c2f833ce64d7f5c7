package upstream

import (
	"net"
	"strings"
	"testing"
)

// TestAddresses: what the name of an index may lead to.
func TestAddresses(t *testing.T) {
	for ip, ok := range map[string]bool{
		"151.101.0.223": true, "2a04:4e42::223": true, "10.1.2.3": true, "fd00::1": true,
		"127.0.0.1": false, "127.8.8.8": false, "::1": false, "::ffff:127.0.0.1": false, "169.254.169.254": false, "::ffff:169.254.169.254": false,
		"fe80::1": false, "0.0.0.0": false, "::": false, "224.0.0.1": false, "ff02::1": false, "255.255.255.255": false,
	} {
		if err := checkAddress("index.example.com", net.JoinHostPort(ip, "443")); (err == nil) != ok {
			t.Errorf("%s: %v", ip, err)
		}
	}
}

// TestNamesAreChecked: the name of an index that leads to this machine is not
// connected to; the address itself, on the allow-list as such, is.
func TestNamesAreChecked(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := New(Options{})
	if conn, err := c.dial(t.Context(), "tcp", "127.0.0.1:"+port); err != nil {
		t.Error(err)
	} else {
		_ = conn.Close()
	}
	// Written like this it is a name like any other.
	if _, err := c.dial(t.Context(), "tcp", "LOCALHOST:"+port); err == nil || !strings.Contains(err.Error(), "no index may lie") {
		t.Errorf("a name that leads here: %v", err)
	}
}
