package follow

import (
	"fmt"
	"io"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/cmd/plugin"
)

// done says what a mode has done to the files.
var done = map[v1alpha1.YankMode]string{
	v1alpha1.YankFlag:         "flagged",
	v1alpha1.YankIndexRemoval: "taken off the index",
	v1alpha1.YankQuarantine:   "quarantined",
	v1alpha1.YankHardDelete:   "destroyed",
}

// WriteResult says in a line or two what was done and where the record is.
func WriteResult(out io.Writer, y *v1alpha1.Yank) {
	fmt.Fprintf(out, "%s %s and verified at the public URLs.\n", files(count(y)), done[y.Spec.Mode])
	if y.Status.Record != "" {
		fmt.Fprintf(out, "Record: %s\n", plugin.Printable(y.Status.Record))
	}
}

// WritePlan lists the files that would be taken back, as far as the status
// names them.
func WritePlan(out io.Writer, y *v1alpha1.Yank) {
	fmt.Fprintf(out, "%s would be %s:\n", files(count(y)), done[y.Spec.Mode])
	for _, artifact := range y.Status.Artifacts {
		line := "  " + plugin.Printable(artifact.Key)
		if artifact.SizeBytes != nil {
			line += fmt.Sprintf("  %d bytes", *artifact.SizeBytes)
		}
		if artifact.SHA256 != "" {
			line += "  sha256:" + artifact.SHA256
		}
		fmt.Fprintln(out, line)
	}
	if more := count(y) - len(y.Status.Artifacts); more > 0 {
		fmt.Fprintf(out, "  and %d more\n", more)
	}
}

func count(y *v1alpha1.Yank) int {
	if y.Status.ArtifactsCount == nil {
		return len(y.Status.Artifacts)
	}
	return int(*y.Status.ArtifactsCount)
}

func files(n int) string {
	if n == 1 {
		return "1 file"
	}
	return fmt.Sprintf("%d files", n)
}
