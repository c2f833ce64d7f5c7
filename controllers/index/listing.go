package index

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"maps"
	"slices"
	"strings"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
)

// object is a listed file with its sidecars. A folder may have 100,000 of them,
// so it holds no more than is needed.
type object struct {
	name, etag string
	size       int64
	// metadata and provenance are the ETags of the sidecars; empty if there is
	// none.
	metadata, provenance string
}

// listing is one channel in one store.
type listing struct {
	wheels, archives folder
	// pages are the ETags of index pages, by key.
	pages map[string]string
	// digest stands for everything that was listed.
	digest digest
}

// folder is what lies in one folder of a channel.
type folder struct {
	prefix string
	// files lie directly in the folder, by name.
	files []object
	// loose are the ETags of METADATA files without their wheel, by the wheel's
	// name: most of what a mirror has been asked for.
	loose map[string]string
	// strays are the keys of objects further down.
	strays []string
}

// digest is the fingerprint of something that is compared and never read again.
type digest [sha256.Size]byte

// digester makes a digest of a sequence of texts and numbers.
type digester struct {
	hash.Hash
	buffer []byte
}

func newDigester() *digester { return &digester{Hash: sha256.New()} }

func (d *digester) add(texts ...string) {
	for _, text := range texts {
		// With the length in front no two sequences read the same.
		d.buffer = binary.AppendUvarint(d.buffer[:0], uint64(len(text)))
		d.buffer = append(d.buffer, text...)
		d.Write(d.buffer)
	}
}

func (d *digester) number(i int64) {
	d.buffer = binary.AppendVarint(d.buffer[:0], i)
	d.Write(d.buffer)
}

func (d *digester) sum() (out digest) {
	d.Sum(out[:0])
	return out
}

// list reads one channel: the folder of wheels and, if archives is true, that of
// libtorch. Whoever publishes a page lists before reading the page's catalog.
// likely is about how many wheels there are.
func list(ctx context.Context, store objectstore.Store, platform string, channel v1alpha1.ChannelName, archives bool, likely int) (listing, error) {
	l := listing{pages: map[string]string{}}
	d := newDigester()
	l.wheels.prefix, l.archives.prefix = layout.WheelPrefix(platform, channel), layout.LibtorchPrefix(platform, channel)
	l.wheels.loose, l.archives.loose = map[string]string{}, map[string]string{}
	l.wheels.files = make([]object, 0, likely+likely/64+8)
	folders := []*folder{&l.wheels}
	if archives {
		folders = append(folders, &l.archives)
	}
	for _, f := range folders {
		for obj, err := range store.List(ctx, f.prefix) {
			if err != nil {
				return listing{}, err
			}
			if obj.Key == layout.RemovalsKey(platform) {
				continue
			}
			d.add(obj.Key, obj.ETag)
			d.number(obj.Size)
			l.add(f, obj)
		}
	}
	l.digest = d.sum()
	return l, nil
}

func (l *listing) add(f *folder, obj objectstore.Object) {
	name := strings.TrimPrefix(obj.Key, f.prefix)
	first, rest, nested := strings.Cut(name, "/")
	switch {
	case isIndexPage(name), nested && first != "" && isIndexPage(rest):
		l.pages[obj.Key] = obj.ETag
	case nested:
		f.strays = append(f.strays, obj.Key)
	case strings.HasSuffix(name, layout.MetadataSuffix):
		if of := f.find(strings.TrimSuffix(name, layout.MetadataSuffix)); of != nil {
			of.metadata = obj.ETag
		} else {
			f.loose[strings.TrimSuffix(name, layout.MetadataSuffix)] = obj.ETag
		}
	case strings.HasSuffix(name, layout.ProvenanceSuffix):
		if of := f.find(strings.TrimSuffix(name, layout.ProvenanceSuffix)); of != nil {
			of.provenance = obj.ETag
		}
	default:
		f.files = append(f.files, object{name: name, etag: obj.ETag, size: obj.Size})
	}
}

// forgetFiles lets go of what is only needed as long as files are compared.
func (l *listing) forgetFiles() {
	l.wheels.files, l.archives.files = nil, nil
	l.wheels.loose, l.archives.loose = nil, nil
}

func isIndexPage(name string) bool { return name == layout.HTMLPage || name == layout.JSONPage }

// find is the file of that name, or nil. Keys are listed in order, so a file is
// found by the time its sidecars come, and is mostly the last one.
func (f *folder) find(name string) *object {
	if n := len(f.files); n > 0 && f.files[n-1].name == name {
		return &f.files[n-1]
	}
	i, ok := slices.BinarySearchFunc(f.files, name, func(o object, n string) int { return strings.Compare(o.name, n) })
	if !ok {
		return nil
	}
	return &f.files[i]
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	return slices.Sorted(maps.Keys(m))
}
