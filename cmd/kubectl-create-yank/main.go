// The program kubectl-create-yank is the kubectl plugin behind
//
//	kubectl create yank torch==2.9.0+spyre --lane spyre --mode Quarantine --reason "…" --wait
//
// It writes one Yank and, with --wait, follows its conditions to the end. It is
// a client of the API and nothing else: it imports the API types, the parser of
// requirements, what the plugins share, and Kubernetes' client libraries, but no
// controller and no port.
package main

import "github.com/pytorch/platform-lane-operator/cmd/plugin"

func main() { plugin.Main(newCommand) }

// exitNothingMatched is this plugin's own exit code, beside those that all have.
const exitNothingMatched = 3
