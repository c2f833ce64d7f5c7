package index

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/wheel"
)

// sort deals the listed files out to their projects. What a file's name or size
// alone rules out belongs to none: it costs no request, is never recorded, and is
// looked at anew each time, so that a change of the lane's packages takes effect.
func (p *pass) sort() {
	owners := p.owners()
	for i := range p.primary.wheels.files {
		obj := &p.primary.wheels.files[i]
		owner := owners[i]
		if owner == nil {
			parsed, err := wheel.CheckListing(obj.name, obj.size, p.rules)
			if err != nil {
				p.report.reject(rejectedBy(p.primary.wheels.prefix+obj.name, err))
				continue
			}
			if p.broken[parsed.Project] != nil {
				continue // Nothing is said of files whose catalog cannot be read.
			}
			owner = p.project(parsed.Project)
		}
		owner.objects = append(owner.objects, obj)
	}
	p.sortArchives()
	for _, folder := range []*folder{&p.primary.wheels, &p.primary.archives} {
		for _, key := range folder.strays {
			p.report.reject(Rejected{
				Key: key, Reason: "UnexpectedFolder",
				Message: "files lie directly in " + strings.TrimSuffix(folder.prefix, "/") + "; upload it there, and remove this object",
			})
		}
	}
	for _, name := range p.rules.Packages {
		if p.broken[name] == nil {
			p.project(name).owned = true
		}
	}
	for _, name := range sortedKeys(p.found) {
		p.project(name)
	}
	p.dependOn()
	p.rejectUnexpected()
}

// owners are the projects of the wheels that were judged before: a file stays
// what it is, whatever the rules are today.
func (p *pass) owners() []*project {
	files := p.primary.wheels.files
	owners := make([]*project, len(files))
	for _, name := range sortedKeys(p.found) {
		if name == v1alpha1.LibtorchPackage {
			continue
		}
		owner, at := p.project(name), 0
		known := p.found[name].cat.Files
		for i := range known {
			if known[i].Link != nil {
				continue // Its bytes are elsewhere: what is stored under its name is another file.
			}
			// Both are sorted: what comes next is mostly the very next one.
			if at < len(files) && files[at].name != known[i].Name {
				n, _ := slices.BinarySearchFunc(files[at:], known[i].Name, func(o object, name string) int { return strings.Compare(o.name, name) })
				at += n
			}
			if at < len(files) && files[at].name == known[i].Name {
				owners[at] = owner
				at++
			}
		}
	}
	return owners
}

// sortArchives deals out what lies in the folder of libtorch.
func (p *pass) sortArchives() {
	var known *catalog.Catalog
	if have, ok := p.found[v1alpha1.LibtorchPackage]; ok {
		known = have.cat
	}
	if p.broken[v1alpha1.LibtorchPackage] != nil {
		return
	}
	for i := range p.primary.archives.files {
		obj := &p.primary.archives.files[i]
		if known == nil || known.Find(obj.name) == nil {
			if _, err := wheel.CheckArchive(obj.name, obj.size, p.archiveRules()); err != nil {
				p.report.reject(rejectedBy(p.primary.archives.prefix+obj.name, err))
				continue
			}
		}
		owner := p.project(v1alpha1.LibtorchPackage)
		owner.objects = append(owner.objects, obj)
	}
}

// rejectUnexpected reports pages of projects that the lane does not have: the
// index wrote none of them.
func (p *pass) rejectUnexpected() {
	for _, key := range sortedKeys(p.primary.pages) {
		rest, ok := strings.CutPrefix(key, p.primary.wheels.prefix)
		folder, _, nested := strings.Cut(rest, "/")
		expected := folder != v1alpha1.LibtorchPackage && (p.projects[folder] != nil || p.broken[folder] != nil)
		if !ok {
			// Archives have their page in their own folder, and no other.
			folder, _, nested = strings.Cut(strings.TrimPrefix(key, p.primary.archives.prefix), "/")
			expected = false
		}
		if nested && !expected {
			p.report.reject(Rejected{
				Key: key, Reason: "UnexpectedPage",
				Message: "the lane has no project " + strconv.QuoteToASCII(folder) + ", so the index did not write this page; find out who did, and remove it",
			})
		}
	}
}

func rejectedBy(key string, err error) Rejected {
	var r *wheel.Rejection
	if errors.As(err, &r) {
		return Rejected{Key: key, Reason: string(r.Reason), Message: r.Message}
	}
	return Rejected{Key: key, Reason: "Unreadable", Message: err.Error()}
}
