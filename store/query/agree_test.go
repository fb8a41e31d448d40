package query_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/store"
	"github.com/vitrine-ndr/vitrine/store/query"
	"github.com/vitrine-ndr/vitrine/store/storetest"
)

var engine storetest.Engine

func TestMain(m *testing.M) { os.Exit(engine.Main(m)) }

// words are what texts of the records are made of: few, so that searches find something, and some that databases trip over.
var words = []string{"a", "B", "ab", "é", "É", "%", "_", `\`, "'", `"`, "*", "?", "\x00", "\xff\xfe", "\n", "example.com", "curl/8", " ", "日本", ".", "\xe2\x82"}

func text(r *rand.Rand) string {
	var b strings.Builder
	for range r.IntN(4) {
		b.WriteString(words[r.IntN(len(words))])
	}
	return b.String()
}

var (
	base      = time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	addresses = []string{"10.1.2.3", "10.1.2.4", "10.200.0.1", "192.0.2.1", "2001:db8::1", "2001:db8:1::1", "::1", "255.255.255.255"}
)

// randomValue returns a value of a field; a third of the time the one that stands for nothing.
func randomValue(r *rand.Rand, f *event.Field) reflect.Value {
	switch {
	case f.Enum != nil:
		return reflect.ValueOf(f.Enum[r.IntN(len(f.Enum))])
	case f.Type == event.TypeString:
		return reflect.ValueOf(text(r))
	case f.Type == event.TypeBytes:
		return reflect.ValueOf([]byte(text(r)))
	case f.Type == event.TypeList:
		list := make([]string, r.IntN(3))
		for i := range list {
			list[i] = text(r)
		}
		return reflect.ValueOf(list)
	case f.Type == event.TypeInt:
		return reflect.ValueOf(int64(r.IntN(7) - 3))
	case f.Type == event.TypeUint:
		return reflect.ValueOf(uint64(r.IntN(4)))
	case f.Type == event.TypeBool:
		return reflect.ValueOf(r.IntN(2) == 0)
	case f.Type == event.TypeTime:
		return reflect.ValueOf(base.Add(time.Duration(r.IntN(5)-2) * time.Hour))
	case f.Type == event.TypeIP:
		return reflect.ValueOf(netip.MustParseAddr(addresses[r.IntN(len(addresses))]))
	case f.Type == event.TypeID:
		return reflect.ValueOf(event.ID{0, 0, 0, 0, 0, 0, byte(r.IntN(3))})
	}
	panic(f.Type)
}

// randomRecord returns an event as a sensor could have made it: the parts that its kind has, and nothing else.
func randomRecord(r *rand.Rand, n int) *event.Record {
	rec := new(event.Record)
	kind := event.Kinds[r.IntN(len(event.Kinds))]
	hasTLS, hasProcess := r.IntN(2) == 0, r.IntN(2) == 0
	for i := range event.Fields {
		f := &event.Fields[i]
		part, _, inside := strings.Cut(f.Name, ".")
		ofKind := slices.Contains(event.Kinds, event.Kind(part)) && part != "tls"
		switch {
		case inside && ofKind && part != string(kind), part == "tls" && !hasTLS, (part == "process" || part == "container") && !hasProcess:
			continue
		case r.IntN(3) == 0:
			continue
		}
		f.Set(rec, randomValue(r, f))
	}
	rec.ID, rec.Time, rec.Kind = event.ID{1, byte(n >> 8), byte(n)}, base.Add(time.Duration(r.IntN(5)-2)*time.Hour+time.Duration(n)), kind
	if hasTLS {
		rec.TLS = cmp.Or(rec.TLS, new(flow.TLS))
		rec.Decryption.State = cmp.Or(rec.Decryption.State, flow.DecryptedNo)
	} else {
		rec.Decryption = flow.Decryption{}
	}
	if rec.Process != nil && rec.Process.PID == 0 {
		rec.Process.PID = 1
	}
	return rec
}

// randomQuery returns a search that is likely to be valid.
func randomQuery(r *rand.Rand, depth int) string {
	switch n := r.IntN(10); {
	case depth > 0 && n < 2:
		return randomQuery(r, depth-1) + " and " + randomQuery(r, depth-1)
	case depth > 0 && n < 4:
		return "(" + randomQuery(r, depth-1) + " or " + randomQuery(r, depth-1) + ")"
	case depth > 0 && n < 5:
		return "not " + randomQuery(r, depth-1)
	case n < 6:
		return randomText(r)
	}
	f := &event.Fields[r.IntN(len(event.Fields))]
	if r.IntN(8) == 0 {
		return f.Name + ":*"
	}
	v := randomValue(r, f)
	switch f.Type {
	case event.TypeString, event.TypeBytes, event.TypeList:
		if f.Enum != nil {
			return f.Name + ":" + v.String()
		}
		return f.Name + ":" + randomText(r)
	case event.TypeBool:
		return fmt.Sprintf("%s:%v", f.Name, v)
	case event.TypeID:
		return fmt.Sprintf("%s:%v", f.Name, v)
	case event.TypeIP:
		return f.Name + []string{":", " >= ", " < "}[r.IntN(3)] + v.Interface().(netip.Addr).String() + []string{"", "/8", "/16"}[r.IntN(3)]
	case event.TypeTime:
		return fmt.Sprintf("%s %s %q", f.Name, []string{"=", ">=", "<", "<=", ">"}[r.IntN(5)], v.Interface().(time.Time).Format([]string{time.RFC3339, time.DateOnly}[r.IntN(2)]))
	}
	return fmt.Sprintf("%s %s %v", f.Name, []string{"=", "!=", ">=", "<", "<=", ">"}[r.IntN(6)], v)
}

// randomText returns a word: quoted, or with wildcards.
func randomText(r *rand.Rand) string {
	if r.IntN(2) == 0 {
		return query.Quote(text(r))
	}
	var b strings.Builder
	for range 1 + r.IntN(4) {
		switch w := words[r.IntN(len(words))]; r.IntN(4) {
		case 0:
			b.WriteByte('*')
		case 1:
			b.WriteByte('?')
		default:
			for _, c := range strings.ToValidUTF8(w, "") {
				b.WriteByte('\\')
				b.WriteRune(c)
			}
		}
	}
	return b.String()
}

func TestSQLAndMatchAgree(t *testing.T) {
	db := engine.Open(t)
	r := rand.New(rand.NewPCG(1, 2))
	records := make([]*event.Record, 400)
	for i := range records {
		records[i] = randomRecord(r, i)
	}
	if err := db.Append(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	asked, found := 0, 0
	for asked < 150 && !t.Failed() {
		f, err := query.Parse(randomQuery(r, 3))
		if err != nil {
			continue
		}
		asked++
		page, err := db.Search(t.Context(), store.Search{Filter: f, Limit: len(records)})
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		inStore := map[event.ID]bool{}
		for _, rec := range page.Records {
			inStore[rec.ID] = true
		}
		found += len(inStore)
		for _, rec := range records {
			if f.Match(rec) != inStore[rec.ID] {
				where, params := f.SQL()
				t.Errorf("%s\nMatch says %v, the store says %v\n%s\n%q\n%+v", f, f.Match(rec), inStore[rec.ID], where, params, rec)
				break
			}
		}
	}
	if found < 10*asked {
		t.Errorf("%d searches found %d events: they say little", asked, found)
	}
}
