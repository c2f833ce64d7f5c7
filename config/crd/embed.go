// Package crd hands the generated CustomResourceDefinitions to programs that
// judge manifests without a cluster. It holds data and imports nothing.
package crd

import _ "embed" // for the definition below

// PlatformLanes is the definition of the resource platformlanes, in YAML.
//
//go:embed bases/distribution.pytorch.org_platformlanes.yaml
var PlatformLanes []byte
