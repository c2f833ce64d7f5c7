package sandbox

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
)

// settings are what a folder remembers between starts: ports and secrets.
type settings struct {
	Ports map[string]int `json:"ports"`
	Root  accessKey      `json:"root"`
	// Users of the account, by name.
	Users map[string]accessKey `json:"users"`
}

type accessKey struct {
	ID     string `json:"id"`
	Secret string `json:"secret"`
}

// portNames are the listeners of the stack.
var portNames = []string{
	"etcd", "etcd-peer", "kube-apiserver", "ack-metrics", "ack-health",
	"versitygw", "versitygw-website",
	"iam", "oidc", "s3", "cdn", "mirror", "cloudfront", "sqs", "events", "debug",
}

func (s *settings) addr(name string) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Ports[name]))
}

func (s *settings) url(name string) string { return "http://" + s.addr(name) }

// openSettings reads the folder's settings and completes them: a port that is
// taken by now is replaced, a missing secret is made.
func openSettings(dir string) (*settings, error) {
	path := filepath.Join(dir, "settings.json")
	s := &settings{}
	raw, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err == nil {
		if err := json.Unmarshal(raw, s); err != nil {
			return nil, fmt.Errorf("%s: %w; remove the folder to start afresh", path, err)
		}
	}
	if err := s.choosePorts(); err != nil {
		return nil, err
	}
	if s.Root.ID == "" {
		s.Root = newAccessKey()
	}
	if s.Users == nil {
		s.Users = map[string]accessKey{}
	}
	for _, name := range []string{operatorUser, ackUser} {
		if _, ok := s.Users[name]; !ok {
			s.Users[name] = newAccessKey()
		}
	}
	return s, writeJSON(path, s)
}

// choosePorts holds every port open until all are found, so that no two are the
// same.
func (s *settings) choosePorts() error {
	held := make([]net.Listener, 0, len(portNames))
	defer func() {
		for _, l := range held {
			_ = l.Close()
		}
	}()
	old := s.Ports
	s.Ports = map[string]int{}
	for _, name := range portNames {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(old[name])))
		if err != nil {
			if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
				return fmt.Errorf("find a free port for %s: %w", name, err)
			}
		}
		held = append(held, l)
		address, err := netip.ParseAddrPort(l.Addr().String())
		if err != nil {
			return fmt.Errorf("find a free port for %s: %w", name, err)
		}
		s.Ports[name] = int(address.Port())
	}
	return nil
}

// newAccessKey makes a random key in the form of AWS's.
func newAccessKey() accessKey {
	return accessKey{ID: "AKIA" + rand.Text()[:16], Secret: rand.Text() + rand.Text()[:14]}
}

// writeJSON replaces a file that only its owner may read.
func writeJSON(path string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, append(raw, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
