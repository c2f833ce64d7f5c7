// Package plugintest gives the tests of a kubectl plugin what a person has who
// types it: an API server with the operator's CustomResourceDefinitions, a
// kubeconfig, users with just these rights, and a real kubectl.
//
// It is for tests only and imports the API types, test/apiserver and
// Kubernetes' client libraries.
package plugintest
