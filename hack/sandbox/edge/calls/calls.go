// Package calls counts what clients asked of each service, so that tests can
// state budgets ("a second reconcile writes nothing"). Standard library only.
package calls

import (
	"encoding/json"
	"net/http"
	"sync"
)

// Counter counts calls by service and operation. The zero value is ready.
type Counter struct {
	mu     sync.Mutex
	counts map[string]map[string]int
}

// Add counts one call.
func (c *Counter) Add(service, operation string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[string]map[string]int{}
	}
	if c.counts[service] == nil {
		c.counts[service] = map[string]int{}
	}
	c.counts[service][operation]++
}

// ServeHTTP answers GET with the counts as {"service":{"operation":n}} and
// forgets them on DELETE.
func (c *Counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch r.Method {
	case http.MethodGet:
		w.Header().Set("Content-Type", "application/json")
		counts := c.counts
		if counts == nil {
			counts = map[string]map[string]int{}
		}
		_ = json.NewEncoder(w).Encode(counts)
	case http.MethodDelete:
		c.counts = nil
		w.WriteHeader(http.StatusNoContent)
	default:
		http.Error(w, "use GET to read the counts or DELETE to forget them", http.StatusMethodNotAllowed)
	}
}
