package platformlane

import (
	"maps"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	laneLabels    = []string{"namespace", "lane", "channel"}
	filesListed   = prometheus.NewDesc("lane_index_files", "Files that a lane's index lists, by channel.", laneLabels, nil)
	filesPending  = prometheus.NewDesc("lane_index_pending_files", "Uploaded files that are still to be judged, by channel.", laneLabels, nil)
	filesRejected = prometheus.NewDesc("lane_index_rejected_files", "Uploaded files that a lane's index leaves out, by channel and reason.",
		append(laneLabels[:3:3], "reason"), nil)
)

// Collector tells what the last syncs of all lanes found. Connect comes first.
func (x *Indexer) Collector() prometheus.Collector { return x.results }

// Describe implements prometheus.Collector.
func (r *results) Describe(to chan<- *prometheus.Desc) {
	to <- filesListed
	to <- filesPending
	to <- filesRejected
}

// Collect implements prometheus.Collector.
func (r *results) Collect(to chan<- prometheus.Metric) {
	r.mu.Lock()
	all := maps.Clone(r.byUID)
	r.mu.Unlock()
	for _, got := range all {
		for _, report := range got.reports {
			labels := []string{got.lane.Namespace, got.lane.Name, string(report.Channel)}
			gauge := func(desc *prometheus.Desc, value int, more ...string) {
				to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value), append(labels[:3:3], more...)...)
			}
			gauge(filesListed, report.Files)
			gauge(filesPending, report.Pending)
			for reason, count := range report.RejectedBy {
				gauge(filesRejected, count, reason)
			}
		}
	}
}
