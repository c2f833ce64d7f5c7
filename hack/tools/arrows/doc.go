// Package arrows proves that the depguard rules of .golangci.yml fire: a rule
// whose glob or prefix no longer matches anything would otherwise keep quiet for
// ever. It holds nothing but a test, imports the standard library and a YAML
// parser, and is run by `make verify-arrows`.
package arrows
