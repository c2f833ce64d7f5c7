package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/cmd/plugin"
	"github.com/pytorch/platform-lane-operator/test/plugintest"
)

// A pass is one status that the operator writes.
type pass func(*v1alpha1.Yank)

func sets(kind string, status metav1.ConditionStatus, reason, message string) pass {
	return func(y *v1alpha1.Yank) {
		meta.SetStatusCondition(&y.Status.Conditions, metav1.Condition{
			Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: y.Generation,
		})
	}
}

func done(kind, reason, message string) pass {
	return sets(kind, metav1.ConditionTrue, reason, message)
}

// operate stands in for the operator: it waits for the Yank that the command
// creates and writes one status after the other.
func (w *world) operate(passes ...pass) {
	w.T.Helper()
	w.meanwhile(func(ctx context.Context, key client.ObjectKey) {
		for _, pass := range passes {
			w.write(ctx, key, pass)
		}
	})
}

// meanwhile runs act as soon as the command has created a Yank.
func (w *world) meanwhile(act func(context.Context, client.ObjectKey)) {
	w.T.Helper()
	ctx, cancel := context.WithCancel(w.T.Context())
	var before v1alpha1.YankList
	w.Must(w.Admin.List(ctx, &before, client.InNamespace(w.Namespace)))
	stream, err := w.Admin.Watch(ctx, &v1alpha1.YankList{},
		&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: before.ResourceVersion}}, client.InNamespace(w.Namespace))
	w.Must(err)
	var finished sync.WaitGroup
	finished.Go(func() {
		defer stream.Stop()
		for event := range stream.ResultChan() {
			if y, ok := event.Object.(*v1alpha1.Yank); ok && event.Type == watch.Added {
				act(ctx, client.ObjectKeyFromObject(y))
				return
			}
		}
	})
	w.T.Cleanup(func() { cancel(); finished.Wait() })
}

// write is one pass over the Yank, as the operator's status patch would be.
func (w *world) write(ctx context.Context, key client.ObjectKey, pass pass) {
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		var y v1alpha1.Yank
		if err := w.Admin.Get(ctx, key, &y); err != nil {
			return err
		}
		y.Status.ObservedGeneration = ptr.To(y.Generation)
		pass(&y)
		return w.Admin.Status().Update(ctx, &y)
	})
	if err != nil && ctx.Err() == nil {
		w.T.Errorf("writing a status: %v", err)
	}
}

var (
	accepted = done(v1alpha1.AcceptedCondition, v1alpha1.ReasonResolved, "2 files match")
	verified = pass(func(y *v1alpha1.Yank) {
		y.Status.ArtifactsCount = ptr.To[int32](2)
		y.Status.Record = "_lanes/spyre/yanks/1.json"
		done(v1alpha1.VerifiedCondition, v1alpha1.ReasonProbed, "12 probes refused")(y)
		done(v1alpha1.ReadyCondition, v1alpha1.ReasonReady, "verified")(y)
	})
	removed = done(v1alpha1.IndexRemovedCondition, v1alpha1.ReasonUnlisted, "2 pages published")
	blocked = done(v1alpha1.AccessBlockedCondition, v1alpha1.ReasonBlocked, "4 versions hidden")
	purging = sets(v1alpha1.CachesPurgedCondition, metav1.ConditionUnknown, v1alpha1.ReasonPurging, "invalidation I1 in progress")
	purged  = done(v1alpha1.CachesPurgedCondition, v1alpha1.ReasonPurged, "invalidation I1 completed")
)

func TestWaitFollowsToTheEnd(t *testing.T) {
	w := newWorld(t)
	warns := func(y *v1alpha1.Yank) {
		y.Status.Warnings = []string{"lane rbln holds the same\x1b[2J bytes"}
		accepted(y)
	}
	w.operate(warns, removed, blocked, purging, purged, verified)
	code, out, errOut := command(t, with("--wait", "--name", "y")...)
	if code != plugin.ExitDone {
		t.Errorf("exit code %d", code)
	}
	if want := "warning: lane rbln holds the same\uFFFD[2J bytes\n"; errOut != want {
		t.Errorf("standard error is %q, want %q", errOut, want)
	}
	want := []string{
		`yank\.distribution\.pytorch\.org/y created`,
		` +\d+\.\ds  done     Accepted       Resolved: 2 files match`,
		` +\d+\.\ds  done     IndexRemoved   Unlisted: 2 pages published`,
		` +\d+\.\ds  done     AccessBlocked  Blocked: 4 versions hidden`,
		`( +\d+\.\ds  waiting  CachesPurged   Purging: invalidation I1 in progress\n)?` +
			` +\d+\.\ds  done     CachesPurged   Purged: invalidation I1 completed`,
		` +\d+\.\ds  done     Verified       Probed: 12 probes refused`,
		` +\d+\.\ds  done     Ready          Ready: verified`,
		`2 files quarantined and verified at the public URLs\.`,
		`Record: _lanes/spyre/yanks/1\.json`,
	}
	if !regexp.MustCompile(`^` + strings.Join(want, `\n`) + `\n$`).MatchString(out) {
		t.Errorf("printed\n%s", out)
	}
}

func TestWaitWithOutputPrintsTheLastState(t *testing.T) {
	w := newWorld(t)
	w.operate(accepted, removed, blocked, purged, verified)
	code, out, errOut := command(t, with("--wait", "-o", "json")...)
	var y v1alpha1.Yank
	if err := json.Unmarshal([]byte(out), &y); err != nil {
		t.Fatalf("standard output is not one object: %v\n%s", err, out)
	}
	if code != plugin.ExitDone || y.Kind != "Yank" || !meta.IsStatusConditionTrue(y.Status.Conditions, v1alpha1.VerifiedCondition) {
		t.Errorf("exit code %d, object %+v", code, y)
	}
	if !strings.Contains(errOut, "Probed: 12 probes refused") {
		t.Errorf("no progress on standard error: %q", errOut)
	}
}

func TestWaitForAPlan(t *testing.T) {
	w := newWorld(t)
	w.operate(func(y *v1alpha1.Yank) {
		y.Status.ArtifactsCount = ptr.To[int32](3)
		y.Status.Artifacts = []v1alpha1.YankedArtifact{
			{Key: "whl/spyre/a.whl", SHA256: hash, SizeBytes: ptr.To[int64](7)}, {Key: "whl/spyre/b.whl"},
		}
		accepted(y)
		done(v1alpha1.ReadyCondition, v1alpha1.ReasonPlanned, "")(y)
	})
	code, out, errOut := command(t, with("--wait", "--plan", "--name", "p")...)
	want := "3 files would be quarantined:\n" +
		"  whl/spyre/a.whl  7 bytes  sha256:" + hash + "\n" +
		"  whl/spyre/b.whl\n" +
		"  and 1 more\n" +
		"Nothing was touched. Carry it out with:\n" +
		"  kubectl patch yank p -n " + w.Namespace + ` --type merge -p '{"spec":{"execution":"Execute"}}'` + "\n"
	if code != plugin.ExitDone || errOut != "" || !strings.HasSuffix(out, want) {
		t.Errorf("exit code %d, error %q, output\n%s\nwant it to end in\n%s", code, errOut, out, want)
	}
}

func TestWaitEndsBadly(t *testing.T) {
	notReady := sets(v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "")
	for _, test := range []struct {
		name   string
		passes []pass
		code   int
		says   string
	}{
		{"nobody looks", nil, plugin.ExitUnfinished, "the operator has not looked at it yet; is it running?"},
		{"a purge that never ends", []pass{accepted, removed, blocked, purging}, plugin.ExitUnfinished, "CachesPurged Purging: invalidation I1 in progress"},
		{"Ready without proof", []pass{accepted, removed, done(v1alpha1.ReadyCondition, v1alpha1.ReasonReady, "")}, plugin.ExitUnfinished, "is not done after 1s"},
		{
			"a status of an earlier spec", []pass{accepted, removed, blocked, purged, func(y *v1alpha1.Yank) { verified(y); y.Status.ObservedGeneration = ptr.To[int64](0) }},
			plugin.ExitUnfinished, "is not done after 1s",
		},
		{"a catalog out of reach", []pass{sets(v1alpha1.AcceptedCondition, metav1.ConditionFalse, v1alpha1.ReasonCatalogUnavailable, "S3 times out")}, plugin.ExitUnfinished, "Accepted CatalogUnavailable: S3 times out"},
		{"nothing matches", []pass{done(v1alpha1.AcceptedCondition, v1alpha1.ReasonNothingMatched, "")}, exitNothingMatched, "no file in lane spyre matches torch==2.9.0+spyre; Yank"},
		{"nothing matches, and all is well", []pass{func(y *v1alpha1.Yank) {
			done(v1alpha1.AcceptedCondition, v1alpha1.ReasonNothingMatched, "")(y)
			verified(y)
		}}, exitNothingMatched, "stays as a standing rule"},
		{"stalled", []pass{accepted, func(y *v1alpha1.Yank) {
			notReady(y)
			done(v1alpha1.StalledCondition, v1alpha1.ReasonObjectLocked, "retained until 2027")(y)
		}}, plugin.ExitStalled, "cannot go on: Stalled ObjectLocked: retained until 2027"},
		{"lane gone", []pass{sets(v1alpha1.AcceptedCondition, metav1.ConditionFalse, v1alpha1.ReasonLaneNotFound, "no lane spyre")}, plugin.ExitStalled, "cannot go on: Accepted LaneNotFound: no lane spyre"},
		{"selector unreadable", []pass{sets(v1alpha1.AcceptedCondition, metav1.ConditionFalse, v1alpha1.ReasonInvalidSelector, "bad")}, plugin.ExitStalled, "InvalidSelector: bad"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.operate(test.passes...)
			timeout := "20s"
			if test.code == plugin.ExitUnfinished {
				timeout = "1s"
			}
			code, _, errOut := command(t, with("--wait", "--timeout", timeout)...)
			if code != test.code || !strings.Contains(errOut, test.says) {
				t.Errorf("exit code %d, error %q; want code %d and %q", code, errOut, test.code, test.says)
			}
			if n := len(w.yanks()); n != 1 {
				t.Errorf("%d Yanks are stored, want 1", n)
			}
		})
	}
}

// TestWaitSeesTheDeletion: at once, and with a finalizer that holds it.
func TestWaitSeesTheDeletion(t *testing.T) {
	for _, finalizers := range [][]string{nil, {v1alpha1.YankFinalizer}} {
		w := newWorld(t)
		w.meanwhile(func(ctx context.Context, key client.ObjectKey) {
			w.write(ctx, key, accepted)
			ctx = context.WithoutCancel(ctx) // the test may be over before the deletion is answered
			y := &v1alpha1.Yank{ObjectMeta: metav1.ObjectMeta{Name: key.Name, Namespace: key.Namespace}}
			err := w.Admin.Patch(ctx, y, client.RawPatch(types.MergePatchType, finalizerPatch(finalizers)))
			if err = errors.Join(err, w.Admin.Delete(ctx, y)); err != nil {
				t.Error(err)
			}
		})
		code, _, errOut := command(t, with("--wait", "--timeout", "20s")...)
		if code != plugin.ExitFailed || !strings.Contains(errOut, "was deleted before it was done; last seen:") {
			t.Errorf("exit code %d, error %q", code, errOut)
		}
	}
}

func finalizerPatch(finalizers []string) []byte {
	text, err := json.Marshal(map[string]any{"metadata": map[string]any{"finalizers": finalizers}})
	if err != nil {
		panic(err)
	}
	return text
}

func TestInterrupted(t *testing.T) {
	w := newWorld(t)
	ctx, interrupt := context.WithCancel(t.Context())
	w.operate(accepted, func(*v1alpha1.Yank) { interrupt() })
	streams, _, _, errOut := genericiooptions.NewTestIOStreams()
	code := run(ctx, with("--wait", "--name", "i"), streams)
	if want := "Yank " + w.Namespace + "/i stands and the operator goes on; follow it with: kubectl get yank i -n " + w.Namespace + " --watch"; code != plugin.ExitInterrupted || !strings.Contains(errOut.String(), want) {
		t.Errorf("exit code %d, error %q, want %q", code, errOut, want)
	}
	if n := len(w.yanks()); n != 1 {
		t.Errorf("%d Yanks are stored, want 1", n)
	}
}

// TestWaitWithoutWatchPermission: reading is enough.
func TestWaitWithoutWatchPermission(t *testing.T) {
	w := newWorld(t)
	w.As("reader", plugintest.Allow("platformlanes", "get"), plugintest.Allow("yanks", "create", "get"))
	w.operate(accepted, removed, blocked, purged, verified)
	if code, out, errOut := command(t, with("--wait", "--timeout", "20s")...); code != plugin.ExitDone || errOut != "" {
		t.Errorf("exit code %d, error %q, output\n%s", code, errOut, out)
	}
}

func TestWaitWithoutReadPermission(t *testing.T) {
	w := newWorld(t)
	w.As("writer", plugintest.Allow("yanks", "create"))
	code, _, errOut := command(t, with("--wait", "--timeout", "20s", "--name", "n")...)
	if code != plugin.ExitFailed || !strings.Contains(errOut, w.Namespace+"/n is created, but cannot be followed") {
		t.Errorf("exit code %d, error %q", code, errOut)
	}
}

// TestWaitSurvivesLostConnections cuts every connection in the middle and lets
// none through for longer than the client library tries by itself.
func TestWaitSurvivesLostConnections(t *testing.T) {
	w := newWorld(t)
	server := plugintest.Server(t)
	address, err := url.Parse(server.Config.Host)
	w.Must(err)
	cable := newCable(t, address.Host)
	through := rest.CopyConfig(server.Config)
	through.Host = "https://" + cable.address
	w.Use(through)
	w.operate(accepted, func(y *v1alpha1.Yank) { time.Sleep(300 * time.Millisecond); cable.cut(); removed(y) }, blocked, purged,
		func(y *v1alpha1.Yank) { verified(y); time.AfterFunc(6*time.Second, cable.mend) })
	code, out, errOut := command(t, with("--wait", "--timeout", "30s")...)
	if code != plugin.ExitDone || !strings.Contains(out, "verified at the public URLs") {
		t.Errorf("exit code %d, output\n%s", code, out)
	}
	if !regexp.MustCompile(`^warning: lost the API server, trying again: [^\n]*\nwarning: reached the API server again\n$`).MatchString(errOut) {
		t.Errorf("standard error is %q", errOut)
	}
}

// A cable carries connections to the API server until it is cut.
type cable struct {
	address string
	mu      sync.Mutex
	broken  bool
	open    []net.Conn
}

func newCable(t *testing.T, to string) *cable {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{address: listener.Addr().String()}
	t.Cleanup(func() { _ = listener.Close(); c.cut() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			c.carry(near, to)
		}
	}()
	return c
}

func (c *cable) carry(near net.Conn, to string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	far, err := net.Dial("tcp", to)
	if err != nil || c.broken {
		_ = near.Close()
		return
	}
	c.open = append(c.open, near, far)
	for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
		go func() {
			defer func() { _ = pair[0].Close() }()
			buffer := make([]byte, 32<<10)
			for {
				n, err := pair[1].Read(buffer)
				if _, writeErr := pair[0].Write(buffer[:n]); err != nil || writeErr != nil {
					return
				}
			}
		}()
	}
}

func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = true
	for _, conn := range c.open {
		_ = conn.Close()
	}
	c.open = nil
}

func (c *cable) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = false
}
