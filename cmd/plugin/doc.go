// Package plugin is what the kubectl plugins of this repository share: how they
// start and end, how they reach the cluster, how they follow an object until it
// is as asked for, and how they explain a refusal to a person.
//
// It imports the API types and Kubernetes' client libraries, and nothing of the
// controllers.
package plugin
