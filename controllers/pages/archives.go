package pages

import (
	"fmt"
	"slices"

	"github.com/pytorch/platform-lane-operator/controllers/catalog"
)

// archivesView is the page of a channel's C++ archives.
type archivesView struct {
	frame
	Revision int64
	Status   *status
	JSONPage string
	Versions []versionView
}

// versionView is a version and its archives.
type versionView struct {
	Version  string
	Archives []archiveView
}

type archiveView struct {
	Name, URL, SHA256, Size, Date, Reason, ProvenanceURL string
	Yanked                                               bool
}

// archivesHTML renders the page of C++ archives: for people, and for whoever
// reads links and hashes out of it. Installers of Python packages have no use
// for it, so it need not be as plain as their pages. The newest version comes
// first.
func (p *project) archivesHTML(c *catalog.Catalog, jsonName string) []byte {
	v := archivesView{
		frame:    frame{Title: "C++ archives of PyTorch for " + clean(c.Platform) + " (" + clean(string(c.Channel)) + ")"},
		Revision: p.revision, Status: p.status, JSONPage: jsonName,
	}
	for i := range p.files {
		f := &p.files[i]
		a := archiveView{
			Name: clean(f.Name), URL: f.url, SHA256: clean(f.SHA256), Size: size(f.Size),
			Yanked: f.yanked, Reason: f.reason, ProvenanceURL: f.provenance,
		}
		if !f.UploadTime.IsZero() {
			a.Date = f.UploadTime.UTC().Format(dateOnly)
		}
		if i == 0 || f.rank != p.files[i-1].rank {
			v.Versions = append(v.Versions, versionView{Version: clean(f.Version)})
		}
		last := &v.Versions[len(v.Versions)-1]
		last.Archives = append(last.Archives, a)
	}
	slices.Reverse(v.Versions)
	return execute(archivesTemplate, v)
}

// size says how large a file is, in the units that people compare and in bytes.
func size(bytes int64) string {
	const step = 1000
	if bytes < step {
		return fmt.Sprintf("%d bytes", bytes)
	}
	units := []string{"kB", "MB", "GB", "TB", "PB", "EB"}
	value, unit := float64(bytes)/step, 0
	for value >= step-0.05 && unit < len(units)-1 {
		value /= step
		unit++
	}
	return fmt.Sprintf("%.1f %s (%d bytes)", value, units[unit], bytes)
}
