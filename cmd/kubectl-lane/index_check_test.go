package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pytorch/platform-lane-operator/cmd/plugin"
	"github.com/pytorch/platform-lane-operator/controllers/simpleindex"
	"github.com/pytorch/platform-lane-operator/controllers/simpleindex/crawl"
	"github.com/pytorch/platform-lane-operator/test/plugintest"
)

const emptyPage = `<!DOCTYPE html><html><head><meta charset="utf-8"><meta name="pypi:repository-version" content="1.4"></head><body></body></html>`

// indexServer serves one page of a type as the list of projects.
func indexServer(t *testing.T, contentType string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/whl/spyre/" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write([]byte(emptyPage))
	}))
	t.Cleanup(server.Close)
	return server.URL + "/whl/spyre/"
}

func TestIndexCheck(t *testing.T) {
	plugintest.NoCluster(t)
	url := indexServer(t, "text/html")
	code, out, errOut := command(t, "index", "check", url)
	if code != plugin.ExitDone || out != url+": 0 files in 0 projects, 1 page: 0 errors, 0 warnings\n" || errOut != "" {
		t.Errorf("clean: exit code %d, %q, %q", code, out, errOut)
	}
	url = indexServer(t, "binary/octet-stream")
	code, out, errOut = command(t, "index", "check", url)
	if code != exitFindings || !strings.Contains(out, "[content-type, PEP 691]") || errOut != "error: the index has 1 errors and 0 warnings\n" {
		t.Errorf("findings: exit code %d, %q, %q", code, out, errOut)
	}
	code, out, _ = command(t, "index", "check", url, "-o", "json")
	var report crawl.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != exitFindings || report.Errors != 1 || report.Findings[0].Rule != "content-type" {
		t.Errorf("findings as JSON: exit code %d, %v, %s", code, err, out)
	}
}

func TestIndexCheckListsItsRules(t *testing.T) {
	plugintest.NoCluster(t)
	code, out, _ := command(t, "index", "check", "--rules")
	if code != plugin.ExitDone || strings.Count(out, "\n") != len(simpleindex.Rules()) || !strings.Contains(out, "yanked-bare") {
		t.Errorf("exit code %d, %s", code, out)
	}
	code, out, _ = command(t, "index", "check", "--rules", "-o", "json")
	var rules []simpleindex.Rule
	if err := json.Unmarshal([]byte(out), &rules); err != nil || code != plugin.ExitDone || len(rules) != len(simpleindex.Rules()) {
		t.Errorf("exit code %d, %v, %s", code, err, out)
	}
}

func TestIndexCheckUsage(t *testing.T) {
	plugintest.NoCluster(t)
	for _, args := range [][]string{
		{}, {"a", "b"}, {"ftp://x/"}, {"s3://"}, {"s3://bucket/x?y"}, {"http://127.0.0.1:1/"}, {"http://127.0.0.1:1/", "-o", "yaml"}, {"http://127.0.0.1:1/", "--at-once", "0"},
	} {
		code, _, errOut := command(t, append([]string{"index", "check"}, args...)...)
		if code != plugin.ExitFailed || !strings.HasPrefix(errOut, "error: ") {
			t.Errorf("%v: exit code %d, %q", args, code, errOut)
		}
	}
	if code, _, errOut := command(t, "index", "chekc"); code != plugin.ExitFailed || !strings.Contains(errOut, "did you mean check") {
		t.Errorf("exit code %d, %q", code, errOut)
	}
}
