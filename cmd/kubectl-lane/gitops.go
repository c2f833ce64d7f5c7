package main

import (
	"fmt"
	"io"
	"strings"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/cmd/plugin"
)

// The marks that GitOps tools leave on what they keep.
const (
	argoTracking  = "argocd.argoproj.io/tracking-id"   // annotation: application:group/kind:namespace/name
	instanceLabel = "app.kubernetes.io/instance"       // Argo CD's older mark, and Helm's
	fluxLabel     = "kustomize.toolkit.fluxcd.io/name" // Flux, from a Kustomization
	fluxHelmLabel = "helm.toolkit.fluxcd.io/name"      // Flux, from a HelmRelease
)

// warnOfGitOps says that what was done by hand may be taken back by whoever keeps
// the lane as git has it.
func warnOfGitOps(out io.Writer, lane *v1alpha1.PlatformLane, access v1alpha1.Access) {
	keeper := keeperOf(lane)
	if keeper == "" {
		return
	}
	fmt.Fprintf(out, "warning: lane %s is kept by %s, which takes this back if it heals itself: commit \"access: %s\" to the lane's spec in git as well\n",
		full(lane), plugin.Printable(keeper), access)
}

// keeperOf names who keeps a lane; empty for nobody.
func keeperOf(lane *v1alpha1.PlatformLane) string {
	if id := lane.Annotations[argoTracking]; id != "" {
		application, _, _ := strings.Cut(id, ":")
		return fmt.Sprintf("the Argo CD Application %q", application)
	}
	for _, mark := range []struct{ label, who string }{
		{fluxLabel, "the Flux Kustomization"}, {fluxHelmLabel, "the Flux HelmRelease"},
		{instanceLabel, "Argo CD (or Helm), as the instance"},
	} {
		if name := lane.Labels[mark.label]; name != "" {
			return fmt.Sprintf("%s %q", mark.who, name)
		}
	}
	return ""
}
