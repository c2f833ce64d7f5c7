package index

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/pages"
)

// Whether a stored page is the wanted one is told from its ETag alone where
// that is the MD5 sum of its bytes, as with S3's plain uploads. A store that
// encrypts with KMS shows other ETags. For those the engine remembers which
// bytes an ETag stands for, and reads a page back where it does not know: once
// after a start, instead of writing every page anew.

// holds tells whether a store has exactly these bytes under the page's key. want
// is the page's own ETag, shown the one that the store shows there.
func (e *Engine) holds(ctx context.Context, target Target, page pages.Page, want, shown string) (bool, error) {
	if e.same(target, page.Key, shown, want) {
		return true, nil
	}
	if shown == "" || e.showsMD5(target) {
		return false, nil
	}
	body, info, err := target.Store.Get(ctx, page.Key, objectstore.GetOptions{})
	if errors.Is(err, objectstore.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = body.Close() }()
	if info.ETag != shown || info.Size != int64(len(page.Body)) {
		return false, nil
	}
	ok, err := reads(body, page.Body)
	if ok {
		e.rememberTag(target, page.Key, shown, want)
	}
	return ok, err
}

// reads tells whether a stream has exactly the wanted bytes, of which there may
// be 40 MB.
func reads(r io.Reader, want []byte) (bool, error) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := r.Read(buffer)
		if n > len(want) || !bytes.Equal(buffer[:n], want[:n]) {
			return false, nil
		}
		want = want[n:]
		if errors.Is(err, io.EOF) {
			return len(want) == 0, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// same tells from ETags alone whether a store shows the wanted bytes.
func (e *Engine) same(target Target, key, shown, want string) bool {
	if shown == want || shown == "" {
		return shown == want
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.pageTags[target.Name+"/"+key] == shown+"="+want
}

// learnTag notes what a write has shown of the store's ETags.
func (e *Engine) learnTag(target Target, key, shown, want string) {
	e.mu.Lock()
	e.md5Tags[target.Name] = shown == want
	e.mu.Unlock()
	if shown != want {
		e.rememberTag(target, key, shown, want)
	}
}

func (e *Engine) rememberTag(target Target, key, shown, want string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pageTags[target.Name+"/"+key] = shown + "=" + want
}

// showsMD5 is true once a write has shown that the store's ETags are MD5 sums:
// one that differs then means other bytes.
func (e *Engine) showsMD5(target Target) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.md5Tags[target.Name]
}
