package platformlane

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"k8s.io/apimachinery/pkg/types"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/index"
)

func TestMetrics(t *testing.T) {
	x := &Indexer{}
	Connect(&Reconciler{}, x)
	if err := testutil.CollectAndCompare(x.Collector(), strings.NewReader("")); err != nil {
		t.Error(err)
	}
	x.results.set("uid", result{
		lane: types.NamespacedName{Namespace: "vendor-ibm", Name: "spyre"},
		reports: []index.Report{{
			Channel: v1alpha1.ChannelNightly, Files: 7, Pending: 2,
			RejectedBy: map[string]int{"NotAWheel": 2, "TooLarge": 1},
		}, {Channel: v1alpha1.ChannelRelease, Files: 1}},
	})
	want := `
# HELP lane_index_files Files that a lane's index lists, by channel.
# TYPE lane_index_files gauge
lane_index_files{channel="nightly",lane="spyre",namespace="vendor-ibm"} 7
lane_index_files{channel="release",lane="spyre",namespace="vendor-ibm"} 1
# HELP lane_index_pending_files Uploaded files that are still to be judged, by channel.
# TYPE lane_index_pending_files gauge
lane_index_pending_files{channel="nightly",lane="spyre",namespace="vendor-ibm"} 2
lane_index_pending_files{channel="release",lane="spyre",namespace="vendor-ibm"} 0
# HELP lane_index_rejected_files Uploaded files that a lane's index leaves out, by channel and reason.
# TYPE lane_index_rejected_files gauge
lane_index_rejected_files{channel="nightly",lane="spyre",namespace="vendor-ibm",reason="NotAWheel"} 2
lane_index_rejected_files{channel="nightly",lane="spyre",namespace="vendor-ibm",reason="TooLarge"} 1
`
	if err := testutil.CollectAndCompare(x.Collector(), strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	problems, err := testutil.CollectAndLint(x.Collector())
	if err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
	x.results.drop("uid")
	if n := testutil.CollectAndCount(x.Collector()); n != 0 {
		t.Errorf("%d series of a lane that is gone", n)
	}
}
