// Package api holds the tests of what the API server itself makes of a lane or
// a Yank, before any of the operator's code runs: the schema's bounds, the CEL
// rules with their messages, defaults, transitions, the samples and the
// installation manifests. All of them run against a real API server.
package api
