package platformlane

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/pages"
	"github.com/pytorch/platform-lane-operator/controllers/reconcilekit"
)

// index reads what the Indexer found last and sets IndexReady and the channels'
// status. It calls nothing.
func (r *Reconciler) index(s *scope) {
	const kind = v1alpha1.IndexReadyCondition
	s.channelStatus(r.PublicBaseURL)
	if len(s.lane.Spec.Channels) == 0 {
		status := &s.lane.Status
		status.FilesCount, status.RejectedFilesCount, status.RejectedFiles, status.Dependencies = nil, nil, nil, nil
		s.conds.True(kind, v1alpha1.ReasonAdmittedOnly, "the lane has no channels")
		return
	}
	got, ok := r.results.get(s.lane.UID)
	if !ok || got.generation != s.lane.Generation {
		if !s.conds.Is(kind) {
			s.conds.Unknown(kind, v1alpha1.ReasonIndexSyncing, "the lane's files are being listed")
		}
		return
	}
	rejected := 0
	if !got.blind { // Else what was counted before is the best that is known.
		s.countFiles(got.reports)
		rejected = s.rejectedFiles(got.reports)
	}
	troubled := s.dependencies(got)
	switch {
	case got.err != nil:
		s.conds.False(kind, v1alpha1.ReasonIndexFailed, firstLine(got.err)+"; it is tried again")
	case got.mirrorErr() != nil:
		s.conds.False(kind, v1alpha1.ReasonMirrorBehind, firstLine(got.mirrorErr())+"; the primary is up to date, the mirror is tried again")
	case got.purgeErr() != nil:
		s.conds.False(kind, v1alpha1.ReasonPurgePending, firstLine(got.purgeErr())+"; the pages are published, the CDN may still serve old ones")
	case got.removalErr() != nil:
		s.conds.False(kind, v1alpha1.ReasonRetentionFailed, firstLine(got.removalErr())+"; every page is up to date, the removal is tried again")
	case got.pending() > 0:
		s.conds.Unknown(kind, v1alpha1.ReasonIndexSyncing, got.progress())
	case rejected > 0:
		s.conds.True(kind, v1alpha1.ReasonFilesRejected, "every page is up to date; left out of the uploaded files: "+fmt.Sprint(rejected)+", see status.rejectedFiles")
	case troubled > 0:
		s.conds.True(kind, v1alpha1.ReasonDependencyTrouble, "every page is up to date; dependencies that need attention: "+fmt.Sprint(troubled)+", see status.dependencies")
	default:
		s.conds.True(kind, v1alpha1.ReasonIndexPublished, "every page is up to date")
	}
}

// channelStatus says where each channel publishes.
func (s *scope) channelStatus(base string) {
	status := &s.lane.Status
	old := map[v1alpha1.ChannelName]v1alpha1.ChannelStatus{}
	for _, c := range status.Channels {
		old[c.Name] = c
	}
	status.Channels = nil
	for _, channel := range s.lane.Spec.Channels {
		platform, url := s.lane.Spec.Platform, layout.IndexURL(base, s.lane.Spec.Platform, channel.Name)
		c := old[channel.Name]
		c.Name, c.Prefix, c.IndexURL = channel.Name, layout.WheelPrefix(platform, channel.Name), url
		c.InstallCommand = pages.PipCommand(s.lane.Spec.Packages, channel.Name, url)
		status.Channels = append(status.Channels, c)
	}
}

func (s *scope) countFiles(reports []index.Report) {
	status, total := &s.lane.Status, 0
	for i := range status.Channels {
		c := &status.Channels[i]
		for _, report := range reports {
			if report.Channel != c.Name {
				continue
			}
			total += report.Files
			c.Projects, c.Files, c.LastUpload = count(report.Projects), count(report.Files), nil
			if !report.LastUpload.IsZero() {
				c.LastUpload = &metav1.Time{Time: report.LastUpload.Truncate(time.Second)}
			}
			c.Retention = retentionOf(report.Due)
		}
	}
	status.FilesCount = count(total)
}

// retentionOf is the preview of what retention is about to remove.
func retentionOf(due index.Due) v1alpha1.RetentionStatus {
	if due.Count == 0 {
		return v1alpha1.RetentionStatus{}
	}
	return v1alpha1.RetentionStatus{
		DueFiles: count(due.Count), DueBytes: &due.Bytes, Keys: due.Keys,
		DueSince:  &metav1.Time{Time: due.Since.Truncate(time.Second)},
		RemovesAt: &metav1.Time{Time: due.Expires.Truncate(time.Second)},
	}
}

// rejectedFiles lists what was left out, cut to what a status may hold.
func (s *scope) rejectedFiles(reports []index.Report) int {
	var all []index.Rejected
	total := 0
	for _, report := range reports {
		all = append(all, report.Rejected...)
		total += report.RejectedCount()
	}
	slices.SortFunc(all, func(a, b index.Rejected) int { return cmp.Compare(a.Key, b.Key) })
	all = slices.CompactFunc(all, func(a, b index.Rejected) bool { return a.Key == b.Key }) // The list is keyed.
	status := &s.lane.Status
	status.RejectedFiles, status.RejectedFilesCount = nil, count(total)
	for i, f := range all {
		if i == v1alpha1.MaxRejectedFiles {
			break
		}
		status.RejectedFiles = append(status.RejectedFiles, v1alpha1.RejectedFile{
			Key: reconcilekit.Cut(f.Key, 1024), Reason: reconcilekit.Cut(f.Reason, 64), Message: reconcilekit.Cut(f.Message, 512),
		})
	}
	return total
}

func count(n int) *int32 {
	return ptr.To(int32(min(n, 1<<31-1))) //nolint:gosec // It is cut to what fits.
}

// firstLine is the beginning of a joined error, fit for a condition.
func firstLine(err error) string {
	first, rest, more := strings.Cut(err.Error(), "\n")
	if more {
		return fmt.Sprintf("%s (and %d more)", first, strings.Count(rest, "\n")+1)
	}
	return first
}
