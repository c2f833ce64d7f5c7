// Package manifest reads lanes from files as the API server would take them: one
// or more YAML or JSON documents, decoded strictly, completed with the schema's
// defaults, and judged by the schema and its CEL rules, all of it offline. The
// schema is the CustomResourceDefinition that the operator installs.
//
// It imports the API types, that definition, and the libraries that the API
// server itself judges custom resources with.
package manifest
