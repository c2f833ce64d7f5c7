// Package fault makes a service fail on purpose: answer with an error, hang, or
// drop the connection. Standard library only.
package fault

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Fault is how a service misbehaves. The zero value means it does not.
type Fault struct {
	// Status, when not zero, is answered to every request.
	Status int `json:"status,omitempty"`
	// Hang keeps every request waiting until the fault is lifted, or the
	// client gives up.
	Hang bool `json:"hang,omitempty"`
	// Down closes the connection without an answer.
	Down bool `json:"down,omitempty"`
	// DelayMillis is waited before every request.
	DelayMillis int `json:"delayMillis,omitempty"`
	// Operations limits the fault to requests whose operation is named here;
	// empty means all of them.
	Operations []string `json:"operations,omitempty"`
	// Times limits the fault to that many requests; 0 means no limit.
	Times int `json:"times,omitempty"`
}

// Board holds the fault of each service. The zero value is ready.
type Board struct {
	mu     sync.Mutex
	faults map[string]*Fault
	change chan struct{}
}

// Set replaces the fault of one service; requests that hang look again.
func (b *Board) Set(service string, f Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.faults == nil {
		b.faults = map[string]*Fault{}
	}
	if b.change != nil {
		close(b.change)
		b.change = nil
	}
	b.faults[service] = &f
}

// take returns the fault that applies to one request now, and a channel that
// closes when any fault changes.
func (b *Board) take(service, operation string) (Fault, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.change == nil {
		b.change = make(chan struct{})
	}
	f := b.faults[service]
	if f == nil || !f.covers(operation) {
		return Fault{}, b.change
	}
	current := *f
	if f.Times > 0 {
		if f.Times--; f.Times == 0 {
			delete(b.faults, service)
		}
	}
	return current, b.change
}

func (f *Fault) covers(operation string) bool {
	if len(f.Operations) == 0 {
		return true
	}
	for _, op := range f.Operations {
		if strings.EqualFold(op, operation) {
			return true
		}
	}
	return false
}

// Intercept applies the service's fault to a request. It returns true when it
// has dealt with the request, and the handler must do nothing more.
func (b *Board) Intercept(w http.ResponseWriter, r *http.Request, service, operation string) bool {
	f, changed := b.take(service, operation)
	if f.DelayMillis > 0 && !wait(r.Context(), time.Duration(f.DelayMillis)*time.Millisecond) {
		return true
	}
	for f.Hang {
		select {
		case <-r.Context().Done():
			return true
		case <-changed:
			f, changed = b.take(service, operation)
		}
	}
	if f.Down {
		panic(http.ErrAbortHandler)
	}
	if f.Status != 0 {
		// Read what was sent, or the client may see a reset in place of the answer.
		_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 1<<20))
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(f.Status)
		_, _ = fmt.Fprintf(w, "the sandbox was told to fail %s\n", service)
		return true
	}
	return false
}

// Drops reports whether the service should lose what it was sent: any fault does.
func (b *Board) Drops(service string) bool {
	f, _ := b.take(service, "")
	return f.Down || f.Hang || f.Status != 0
}

func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// ServeHTTP is the debug endpoint: POST /debug/faults/<service> with a Fault
// sets it, DELETE lifts it, GET /debug/faults/ lists all.
func (b *Board) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	service := strings.TrimPrefix(r.URL.Path, "/debug/faults/")
	switch r.Method {
	case http.MethodGet:
		b.mu.Lock()
		defer b.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(b.faults)
	case http.MethodDelete:
		b.Set(service, Fault{})
		w.WriteHeader(http.StatusNoContent)
	case http.MethodPost:
		var f Fault
		dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&f); err != nil {
			http.Error(w, "fault: "+err.Error(), http.StatusBadRequest)
			return
		}
		b.Set(service, f)
		w.WriteHeader(http.StatusNoContent)
	default:
		http.Error(w, "use GET, POST or DELETE", http.StatusMethodNotAllowed)
	}
}
