package story

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/hack/sandbox/job"
)

// stillFor is how long something that must not happen is watched for. The
// operator polls the bucket more often than the story ends.
const stillFor = 2 * time.Second

func (w *World) quarantine() Chapter {
	return Chapter{"A responder quarantines a suspicious release", []Step{
		{"one command, which waits for the proof", func(ctx context.Context) (string, error) {
			return w.Kubectl(ctx, "create", "yank", "torch==2.9.0+spyre", "--name=torch-2.9.0", "--lane=spyre", "-n", spyre.namespace,
				"--mode=Quarantine", "--reason=build host under investigation; use 2.9.1", "--advisory=PYSEC-2026-0001", "--wait", "--timeout=60s")
		}},
		{"pip can no longer install that version", func(ctx context.Context) (string, error) {
			return w.cannotInstall(ctx, old)
		}},
		{"its direct address fails in both spellings of the plus sign", w.unreachable(old)},
		{"the other version still installs", func(ctx context.Context) (string, error) {
			return w.installs(ctx, current)
		}},
		{"the bytes are still in the bucket, for forensics", w.keptForForensics},
		{"the Yank says Verified, with the evidence", w.evidence},
		{"somebody deletes the Yank's manifest: still not listed", w.manifestDeleted},
	}}
}

func (w *World) hardDeletion() Chapter {
	return Chapter{"A malicious release is destroyed", []Step{
		{"one command, which waits for the proof", func(ctx context.Context) (string, error) {
			return w.Kubectl(ctx, "create", "yank", "torch==2.8.0+spyre", "--name=torch-2.8.0", "--lane=spyre", "-n", spyre.namespace,
				"--mode=HardDelete", "--reason=malware", "--yes", "--wait", "--timeout=60s")
		}},
		{"no version of the bytes is left", func(ctx context.Context) (string, error) {
			kept, markers, err := job.Root(&w.Stack.Info).Versions(ctx, doomed.key())
			if err == nil && len(kept)+markers > 0 {
				err = fmt.Errorf("%d versions and %d markers are left of %s", len(kept), markers, doomed.key())
			}
			return "0 versions, 0 delete markers of " + doomed.key(), err
		}},
		{"its direct address fails", w.unreachable(doomed)},
		{"the yanks can be read at a glance", func(ctx context.Context) (string, error) {
			return w.Kubectl(ctx, "get", "yanks", "-A")
		}},
	}}
}

// cannotInstall demands that pip says that there is no such version.
func (w *World) cannotInstall(ctx context.Context, r release) (string, error) {
	out, err := w.python.install(ctx, w.indexURL(r), "torch=="+r.wheel.Version, r.sha256())
	if err == nil {
		return "", fmt.Errorf("pip still installs %s: %s", r.wheel.Version, out)
	}
	for line := range strings.Lines(out) {
		if strings.Contains(line, "No matching distribution found") {
			return strings.TrimSpace(line), nil
		}
	}
	return "", fmt.Errorf("pip failed for another reason: %w", err)
}

// unreachable demands that both spellings of a release's address are refused, as
// the CDN serves them and as the bucket itself does.
func (w *World) unreachable(r release) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		var shown []string
		for _, url := range []string{
			w.fileURL(r, "%2B"), w.fileURL(r, "+"), w.fileURL(r, "%2B") + ".metadata",
			w.Stack.S3Endpoint + "/" + w.Stack.Bucket + "/" + strings.ReplaceAll(r.key(), "+", "%2B"),
		} {
			status, _, err := get(ctx, url)
			if err != nil {
				return "", err
			}
			if status != http.StatusForbidden && status != http.StatusNotFound {
				return "", fmt.Errorf("%s answers %d", url, status)
			}
			shown = append(shown, fmt.Sprintf("%d %s", status, url))
		}
		return strings.Join(shown, "\n"), nil
	}
}

func (w *World) keptForForensics(ctx context.Context) (string, error) {
	kept, markers, err := job.Root(&w.Stack.Info).Versions(ctx, old.key())
	if err != nil {
		return "", err
	}
	if len(kept) != 1 || markers == 0 || *kept[0].Size != int64(len(old.bytes())) {
		return "", fmt.Errorf("%s has %d versions and %d markers: %+v", old.key(), len(kept), markers, kept)
	}
	return fmt.Sprintf("%s: version %s, %d bytes, behind a delete marker", old.key(), *kept[0].VersionId, *kept[0].Size), nil
}

// evidence reads the record in the bucket that the status names.
func (w *World) evidence(ctx context.Context) (string, error) {
	y := &v1alpha1.Yank{}
	if err := w.Client.Get(ctx, client.ObjectKey{Namespace: spyre.namespace, Name: "torch-2.9.0"}, y); err != nil {
		return "", err
	}
	if y.Status.VerifiedCount == nil || *y.Status.VerifiedCount != 3 || y.Status.VerifiedTime == nil {
		return "", fmt.Errorf("3 files of 2.9.0 should be verified: %+v", y.Status)
	}
	if y.Status.Requester == "" {
		return "", errors.New("the API server did not record who asked for it")
	}
	body, err := job.Root(&w.Stack.Info).Read(ctx, y.Status.Record)
	if err != nil {
		return "", err
	}
	var record struct {
		Artifacts []struct {
			SHA256 string
			Probes []struct{ Outcome string }
		}
	}
	if err := json.Unmarshal(body, &record); err != nil {
		return "", err
	}
	probes := 0
	for _, a := range record.Artifacts {
		for _, p := range a.Probes {
			if p.Outcome != "Proven" {
				return "", fmt.Errorf("a probe is %s", p.Outcome)
			}
			probes++
		}
	}
	if len(record.Artifacts) != 3 || probes == 0 {
		return "", fmt.Errorf("the record has %d files and %d probes", len(record.Artifacts), probes)
	}
	return fmt.Sprintf("%s\n3 files with hashes and versions, %d refused probes, asked for by %s", y.Status.Record, probes, y.Status.Requester), nil
}

func (w *World) manifestDeleted(ctx context.Context) (string, error) {
	out, err := w.Kubectl(ctx, "delete", "yank", "torch-2.9.0", "-n", spyre.namespace, "--timeout=20s")
	if err != nil {
		return out, err
	}
	// An upload makes the operator go over the lane once more.
	fresh := wheelOf(spyre, "2.9.2", "py3-none-any", 0)
	if err := w.jobs[spyre.name].Put(ctx, fresh.key(), fresh.bytes()); err != nil {
		return "", err
	}
	if err := w.listed(ctx, fresh); err != nil {
		return "", err
	}
	for deadline := time.Now().Add(stillFor); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		_, page, err := get(ctx, w.pageURL(old))
		if err != nil {
			return "", err
		}
		if strings.Contains(page, "2.9.0%2Bspyre") {
			return "", errors.New("2.9.0 is on the page again")
		}
	}
	return out, nil
}
