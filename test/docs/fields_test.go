package docs

import (
	"reflect"
	"regexp"
	"strings"
	"testing"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/operatorconfig"
)

// pathRE is a field as pages name it, with an index or a value behind it or not.
var pathRE = regexp.MustCompile(`^([a-zA-Z]+)((?:\[\])?(?:\.[a-zA-Z0-9]+(?:\[\])?)+)(?::.*)?$`)

// has tells whether a type has a field, by the path of its JSON names.
func has(of reflect.Type, path []string) bool {
	for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
		of = of.Elem()
	}
	if len(path) == 0 {
		return true
	}
	if of.Kind() != reflect.Struct {
		return false
	}
	for i := range of.NumField() {
		field := of.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == path[0] {
			return has(field.Type, path[1:])
		}
		if (options == "inline" || options == ",inline") && has(field.Type, path) {
			return true
		}
	}
	return false
}

// known are the types that a field may be of, by the first part of its name. whole is
// false if that is the name of nothing that they have.
func known(first string) (types []reflect.Type, whole bool) {
	switch first {
	case "spec", "status":
		return []reflect.Type{reflect.TypeFor[v1alpha1.PlatformLane](), reflect.TypeFor[v1alpha1.Yank]()}, true
	default:
		config := reflect.TypeFor[operatorconfig.Config]()
		return []reflect.Type{config}, has(config, []string{first})
	}
}

// named is the field that a piece of code names, and whether it names one.
func named(part string) (path []string, ok bool) {
	m := pathRE.FindStringSubmatch(part)
	if m == nil {
		return nil, false
	}
	return strings.Split(strings.ReplaceAll(m[1]+m[2], "[]", ""), "."), true
}

func exists(path []string) (exists, field bool) {
	types, field := known(path[0])
	for _, of := range types {
		exists = exists || has(of, path)
	}
	return exists, field
}

func TestFieldsExist(t *testing.T) {
	seen := 0
	for _, name := range forNewcomers {
		for _, part := range code(read(t, name).text) {
			path, ok := named(part)
			if !ok {
				continue
			}
			found, field := exists(path)
			if field {
				seen++
			}
			if field && !found {
				t.Errorf("%s: there is no field %s", name, part)
			}
		}
	}
	if seen < 25 {
		t.Errorf("only %d fields are found", seen)
	}
	for part, want := range map[string]bool{
		"spec.access: Suspended": true, "status.channels[].retention": true, "limits.pollSeconds": true, "oidcProviders[].claims": true,
		"spec.excess": false, "status.channels[].retentions": false, "limits.pollHours": false, "spec.publishers.accessKey.rotationDays": true,
	} {
		path, ok := named(part)
		if got, field := exists(path); !ok || !field || got != want {
			t.Errorf("%s: exists %v, a field %v", part, got, field)
		}
	}
}
