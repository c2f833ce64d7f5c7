// Package docs holds README.md and the pages in docs to their word: their links
// lead somewhere, the commands, fields and reasons that they name exist, and their
// tables of reasons and states are complete.
//
// It reads the pages and the sources, asks the built plugins for their flags, and
// may import the API types and the operator's configuration for their fields.
package docs
