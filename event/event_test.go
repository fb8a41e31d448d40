package event

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/vitrine-ndr/vitrine/flow"
)

// filled returns a Record in which every field has a value of its own.
func filled(t testing.TB) *Record {
	t.Helper()
	r := new(Record)
	for i := range Fields {
		f := &Fields[i]
		v := f.settable(r)
		switch f.Type {
		case TypeString:
			v.SetString(fmt.Sprint("s", i))
		case TypeList:
			v.Set(reflect.ValueOf([]string{fmt.Sprint("l", i), ""}))
		case TypeInt:
			v.SetInt(int64(i))
		case TypeUint:
			v.SetUint(uint64(i))
		case TypeBool:
			v.SetBool(true)
		case TypeTime:
			v.Set(reflect.ValueOf(time.UnixMicro(int64(1700000000000000 + i)).UTC()))
		case TypeIP:
			v.Set(reflect.ValueOf(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})))
		case TypeID:
			v.Set(reflect.ValueOf(flow.NewID(time.UnixMilli(1700000000000), 1, uint64(i))))
		case TypeBytes:
			v.SetBytes([]byte{byte(i), 0xff})
		default:
			t.Fatalf("%s has type %q, which no test fills", f.Name, f.Type)
		}
	}
	return r
}

func TestFieldsAreDocumentedAndUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range Fields {
		if f.Doc == "" {
			t.Errorf("%s has no doc tag", f.Name)
		}
		if seen[f.Column()] {
			t.Errorf("%s is there twice", f.Name)
		}
		seen[f.Column()] = true
	}
	for _, name := range []string{"decrypted", "http.host", "http.status", "client.ip", "tls.certificate.names", "http.response.body", "vantage"} {
		if _, ok := FieldByName(name); !ok {
			t.Errorf("there is no field %s", name)
		}
	}
}

func TestRecordSurvivesJSON(t *testing.T) {
	want := filled(t)
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got := new(Record)
	if err := json.Unmarshal(b, got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestFieldValueAndSet(t *testing.T) {
	want, got := filled(t), new(Record)
	for i := range Fields {
		if v := Fields[i].Value(got); v.IsValid() && !v.IsZero() {
			t.Errorf("%s of an empty record is %v", Fields[i].Name, v)
		}
		Fields[i].Set(got, Fields[i].Value(want))
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
