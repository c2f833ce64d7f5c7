package index

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
)

// listing is one channel's folder in one store.
type listing struct {
	prefix string
	// files lie directly in the folder, by name.
	files map[string]objectstore.Object
	// sidecars are the files that the engine writes beside wheels, by name.
	sidecars map[string]objectstore.Object
	// pages are the ETags of index pages, by key.
	pages map[string]string
	// strays are all other objects.
	strays []objectstore.Object
}

// list reads one channel's folder. Whoever publishes a page lists before
// reading the page's catalog.
func list(ctx context.Context, store objectstore.Store, platform string, channel v1alpha1.ChannelName) (listing, error) {
	l := listing{
		prefix:   layout.WheelPrefix(platform, channel),
		files:    map[string]objectstore.Object{},
		sidecars: map[string]objectstore.Object{},
		pages:    map[string]string{},
	}
	for obj, err := range store.List(ctx, l.prefix) {
		if err != nil {
			return listing{}, err
		}
		l.add(obj, layout.RemovalsKey(platform))
	}
	return l, nil
}

func (l *listing) add(obj objectstore.Object, removals string) {
	name := strings.TrimPrefix(obj.Key, l.prefix)
	folder, file, nested := strings.Cut(name, "/")
	switch {
	case obj.Key == removals:
	case name == layout.HTMLPage, name == layout.JSONPage:
		l.pages[obj.Key] = obj.ETag
	case nested && folder != "" && (file == layout.HTMLPage || file == layout.JSONPage):
		l.pages[obj.Key] = obj.ETag
	case nested:
		l.strays = append(l.strays, obj)
	case strings.HasSuffix(name, layout.MetadataSuffix), strings.HasSuffix(name, layout.ProvenanceSuffix):
		l.sidecars[name] = obj
	default:
		l.files[name] = obj
	}
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	return slices.Sorted(maps.Keys(m))
}
