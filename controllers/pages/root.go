package pages

import (
	"slices"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
)

// Root renders the list of a channel's projects, HTML first. Names are listed
// once and in order, whatever order they come in. Unlike a project's page it
// carries no revision: no catalog stands behind the list as a whole.
func Root(platform string, channel v1alpha1.ChannelName, projects []string) []Page {
	names := slices.Compact(slices.Sorted(slices.Values(projects)))
	htmlKey, jsonKey := layout.RootPages(platform, channel)
	return []Page{
		{Key: htmlKey, Body: rootHTML(platform, channel, names), ContentType: ContentTypeHTML, CacheControl: CacheControlPage},
		{Key: jsonKey, Body: rootJSON(names), ContentType: ContentTypeJSON, CacheControl: CacheControlPage},
	}
}

func rootHTML(platform string, channel v1alpha1.ChannelName, names []string) []byte {
	b := appendHead(nil, "PyTorch packages for "+platform+" ("+string(channel)+")", 0)
	if len(names) == 0 {
		b = append(b, "<p>No projects are published here.</p>\n"...)
	}
	for _, name := range names {
		b = append(b, `<a href="`...)
		b = appendHTML(b, layout.EscapeKey(name))
		b = append(b, `/">`...)
		b = appendHTML(b, name)
		b = append(b, "</a><br>\n"...)
	}
	return append(b, tail...)
}

func rootJSON(names []string) []byte {
	b := appendMeta(nil, 0)
	b = append(b, `"projects":[`...)
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, "\n{\"name\":"...)
		b = appendJSON(b, name)
		b = append(b, '}')
	}
	return append(b, "\n]}\n"...)
}
