package story

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/wheel/wheeltest"
	"github.com/pytorch/platform-lane-operator/hack/sandbox/job"
)

// listedWithin bounds how long an upload may take until it is on the page.
const listedWithin = 15 * time.Second

// release is a wheel of the story.
type release struct {
	wheel wheeltest.Wheel
	lane  laneName
	// folder it is published in.
	folder string
}

func (r release) key() string { return r.folder + r.wheel.Filename() }

func (r release) bytes() []byte {
	data, err := r.wheel.Bytes()
	if err != nil {
		panic(err) // A wheel of ours that cannot be built is a defect of the story.
	}
	return data
}

func (r release) sha256() string {
	sum := sha256.Sum256(r.bytes())
	return hex.EncodeToString(sum[:])
}

func wheelOf(lane laneName, version, tag string, size int) release {
	return release{
		wheel:  wheeltest.Wheel{Project: "torch", Version: version + "+" + lane.name, Tag: tag, RequiresPython: ">=3.9", PadTo: size},
		lane:   lane,
		folder: "whl/" + lane.name + "/",
	}
}

// What the vendors publish. The two versions of spyre are the heroes.
var (
	old      = wheelOf(spyre, "2.9.0", "py3-none-any", 12<<20)
	oldCP312 = wheelOf(spyre, "2.9.0", "cp312-cp312-manylinux_2_28_x86_64", 0)
	oldCP313 = wheelOf(spyre, "2.9.0", "cp313-cp313-manylinux_2_28_x86_64", 0)
	current  = wheelOf(spyre, "2.9.1", "py3-none-any", 0)
	doomed   = wheelOf(spyre, "2.8.0", "py3-none-any", 0)
	nightly  = release{wheeltest.Wheel{Project: "torch", Version: "2.10.0.dev20261101+spyre"}, spyre, "whl/nightly/spyre/"}
	rival    = wheelOf(rbln, "2.9.1", "py3-none-any", 0)
)

func (w *World) publishing() Chapter {
	return Chapter{"The vendors publish with short-lived credentials", []Step{
		{"a workflow job shows its OIDC token and gets the lane's role for an hour; so does the other vendor's", w.assumeBoth},
		{"it uploads real wheels: two versions, several Python tags, in one piece and in parts", w.uploadAll},
		{"the index lists them within seconds", w.allListed},
		{"pip installs one through the CDN into a fresh virtual environment, its hash checked", func(ctx context.Context) (string, error) {
			return w.installs(ctx, old)
		}},
	}}
}

func (w *World) assumeBoth(ctx context.Context) (string, error) {
	for _, name := range []laneName{spyre, rbln} {
		lane, err := w.lane(ctx, name)
		if err != nil {
			return "", err
		}
		if w.jobs[name.name], err = job.Assume(ctx, &w.Stack.Info, lane.Status.Role.ARN, job.ClaimsOf(lane)); err != nil {
			return "", err
		}
	}
	return "", nil
}

func (w *World) uploadAll(ctx context.Context) (string, error) {
	parts, err := w.jobs[spyre.name].PutMultipart(ctx, old.key(), old.bytes())
	if err != nil {
		return "", err
	}
	shown := []string{fmt.Sprintf("%s (%d parts)", old.key(), parts)}
	for _, r := range []release{oldCP312, oldCP313, current, doomed, nightly, rival} {
		if err := w.jobs[r.lane.name].Put(ctx, r.key(), r.bytes()); err != nil {
			return "", err
		}
		shown = append(shown, r.key())
	}
	return strings.Join(shown, "\n"), nil
}

func (w *World) allListed(ctx context.Context) (string, error) {
	started := time.Now()
	for _, r := range []release{old, oldCP312, oldCP313, current, doomed, nightly, rival} {
		if err := w.listed(ctx, r); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("listed %s after the last upload: %s", time.Since(started).Round(10*time.Millisecond), w.pageURL(old)), nil
}

// pageURL is the public page that lists a release.
func (w *World) pageURL(r release) string { return w.Stack.CDNURL + "/" + r.folder + "torch/" }

// indexURL is what a user gives pip.
func (w *World) indexURL(r release) string { return w.Stack.CDNURL + "/" + r.folder }

// fileURL is a release's direct address, with the plus sign as given.
func (w *World) fileURL(r release, plus string) string {
	return w.Stack.CDNURL + "/" + strings.ReplaceAll(r.key(), "+", plus)
}

// listed waits until the public page lists a release with its right hash.
func (w *World) listed(ctx context.Context, r release) error {
	want := strings.ReplaceAll(r.wheel.Filename(), "+", "%2B") + "#sha256=" + r.sha256()
	return eventually(ctx, listedWithin, func(ctx context.Context) error {
		status, page, err := get(ctx, w.pageURL(r))
		if err != nil {
			return err
		}
		if status != http.StatusOK || !strings.Contains(page, want) {
			return fmt.Errorf("%s does not list %s (status %d): %w", w.pageURL(r), want, status, errNotYet)
		}
		return nil
	})
}

// installs has pip install a release and python import it.
func (w *World) installs(ctx context.Context, r release) (string, error) {
	requirement := "torch==" + r.wheel.Version
	if out, err := w.python.install(ctx, w.indexURL(r), requirement, r.sha256()); err != nil {
		return out, err
	}
	got, err := w.python.run(ctx, "-c", "import torch; print(torch.__version__)")
	if err != nil || got != r.wheel.Version {
		return "", fmt.Errorf("python imports torch %q, want %q: %w", got, r.wheel.Version, err)
	}
	return fmt.Sprintf("pip install --require-hashes %s --index-url %s\ntorch.__version__ = %s", requirement, w.indexURL(r), got), nil
}

// maxBody bounds what is read of an answer, in bytes.
const maxBody = 16 << 20

// get fetches as anybody would.
func get(ctx context.Context, url string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	res, err := anonymous.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	return res.StatusCode, string(body), err
}

// anonymous is a client without a proxy: everything is on loopback.
var anonymous = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{}}
