package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pytorch/platform-lane-operator/hack/sandbox"
)

// page is one document, by its path below the repository's root.
type page struct{ path, text string }

// forNewcomers are the pages that are checked for what they name.
var forNewcomers = []string{"README.md", "docs/lanes.md", "docs/index.md"}

// root is the repository's folder.
func root(t *testing.T) string {
	t.Helper()
	dir, err := sandbox.RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func read(t *testing.T, path string) page {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), path))
	if err != nil {
		t.Fatal(err)
	}
	return page{path, string(text)}
}

// everyPage is all that people are to read.
func everyPage(t *testing.T) (pages []page) {
	t.Helper()
	for _, pattern := range []string{"README.md", "docs/*.md", "config/*/README.md", "test/README.md", "hack/sandbox/README.md"} {
		found, err := filepath.Glob(filepath.Join(root(t), pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("no page like %s (%v)", pattern, err)
		}
		for _, path := range found {
			rel, err := filepath.Rel(root(t), path)
			if err != nil {
				t.Fatal(err)
			}
			pages = append(pages, read(t, rel))
		}
	}
	return pages
}

var (
	linkRE    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	headingRE = regexp.MustCompile(`(?m)^#{1,6} (.+)$`)
	notInSlug = regexp.MustCompile(`[^a-z0-9 _-]`)
	fenceRE   = regexp.MustCompile("(?ms)^```[a-z]*\n.*?^```$")
)

// slugs are the anchors of a page's headings, as GitHub makes them.
func slugs(text string) (out []string) {
	for _, m := range headingRE.FindAllStringSubmatch(fenceRE.ReplaceAllString(text, ""), -1) {
		out = append(out, strings.ReplaceAll(notInSlug.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return out
}

// brokenLinks are the links of a page into the repository that lead nowhere.
func brokenLinks(dir string, p page) (broken []string) {
	for _, m := range linkRE.FindAllStringSubmatch(p.text, -1) {
		target, anchor, _ := strings.Cut(m[1], "#")
		if strings.Contains(target, "://") {
			continue
		}
		text := p.text
		if target != "" {
			path := filepath.Join(dir, filepath.Dir(p.path), target)
			if _, err := os.Stat(path); err != nil {
				broken = append(broken, m[1])
				continue
			}
			if anchor != "" {
				raw, err := os.ReadFile(path)
				if err != nil {
					broken = append(broken, m[1])
					continue
				}
				text = string(raw)
			}
		}
		if anchor != "" && !slices.Contains(slugs(text), anchor) {
			broken = append(broken, m[1])
		}
	}
	return broken
}

func TestLinksResolve(t *testing.T) {
	links := 0
	for _, p := range everyPage(t) {
		links += len(linkRE.FindAllString(p.text, -1))
		for _, link := range brokenLinks(root(t), p) {
			t.Errorf("%s: the link %s leads nowhere", p.path, link)
		}
	}
	if links < 30 {
		t.Errorf("only %d links are found", links)
	}
}

func TestBrokenLinksAreFoundOut(t *testing.T) {
	p := page{"docs/x.md", "# One, `two`\n[a](lanes.md) [b](../README.md#try-it) [c](#one-two) [d](https://example.com/x) [e](gone.md) [f](#three) [g](lanes.md#gone)"}
	if got, want := brokenLinks(root(t), p), []string{"gone.md", "#three", "lanes.md#gone"}; !slices.Equal(got, want) {
		t.Errorf("broken: %v, want %v", got, want)
	}
}

// TestTwoCommandsSetEverythingUp: whoever clones the repository needs no more.
func TestTwoCommandsSetEverythingUp(t *testing.T) {
	_, section, ok := strings.Cut(read(t, "README.md").text, "\n## Try it\n")
	section, _, _ = strings.Cut(section, "\n## ")
	blocks := fenceRE.FindAllString(section, -1)
	if !ok || len(blocks) != 1 {
		t.Fatalf("%d blocks of commands stand under Try it, want 1", len(blocks))
	}
	var commands []string
	for line := range strings.Lines(blocks[0]) {
		if command, _, _ := strings.Cut(line, "#"); !strings.HasPrefix(command, "```") && strings.TrimSpace(command) != "" {
			commands = append(commands, strings.TrimSpace(command))
		}
	}
	if want := []string{"make demo", "make test"}; !slices.Equal(commands, want) {
		t.Errorf("the commands are %q, want %q", commands, want)
	}
}
