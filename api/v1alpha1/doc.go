// Package v1alpha1 holds the two resources of the platform lane operator,
// PlatformLane and Yank, with the rules that the API server enforces on them
// (schema and CEL) and the conditions and reasons that their status reports.
//
// It imports Kubernetes' API machinery only; everything else may import it.
//
// +kubebuilder:object:generate=true
// +groupName=distribution.pytorch.org
package v1alpha1
