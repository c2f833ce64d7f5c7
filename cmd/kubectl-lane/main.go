// The program kubectl-lane is the kubectl plugin behind
//
//	kubectl lane suspend spyre --reason "…" -n vendor-ibm
//	kubectl lane render -f lane.yaml --config operator.yaml
//
// and the other commands for those who keep lanes. It is a client of the API: it
// imports the API types, the pure packages that say what the operator would do,
// ackrole for the form of a Role, what the plugins share, and Kubernetes' client
// libraries; but no controller. One command alone, index check, reads a bucket, and
// that through the port objectstore.
package main

import "github.com/pytorch/platform-lane-operator/cmd/plugin"

func main() { plugin.Main(newCommand) }
