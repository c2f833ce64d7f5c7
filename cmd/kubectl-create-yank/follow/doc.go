// Package follow watches one Yank until it is verified, planned, stalled or
// gone, and tells a person on the way what has been reached: one line for each
// change of a condition, with the time that has passed.
//
// It imports the API types, what the plugins share, and a Kubernetes client; no
// controller.
package follow
