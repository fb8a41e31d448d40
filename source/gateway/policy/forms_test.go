package policy_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

// TestFilesAndAPISayTheSame checks that each field has one name, whether people write it into a file or send it to the API.
func TestFilesAndAPISayTheSame(t *testing.T) {
	for _, form := range []reflect.Type{reflect.TypeFor[policy.Policy](), reflect.TypeFor[policy.Scope](), reflect.TypeFor[policy.Exception](), reflect.TypeFor[policy.Cases]()} {
		for i := range form.NumField() {
			f := form.Field(i)
			name, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
			if yaml := f.Tag.Get("yaml"); name != yaml || rest != "omitempty" && name != "id" {
				t.Errorf("%s.%s is %q in files, and %q in JSON", form.Name(), f.Name, yaml, f.Tag.Get("json"))
			}
		}
	}
}
