package store

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// real is what the tests need of the real engine; err says why it is not there.
var real struct {
	program, library string
	err              error
}

func TestMain(m *testing.M) {
	flag.Parse()
	dir, err := os.MkdirTemp("", "vitrine-store-test-*")
	if err != nil {
		panic(err)
	}
	real.program = filepath.Join(dir, "vitrine-store")
	real.library, real.err = build(real.program)
	code := m.Run()
	os.RemoveAll(dir)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func build(program string) (library string, err error) {
	cmd := exec.Command("go", "build", "-o", program, "../cmd/vitrine-store")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build vitrine-store: %w: %s", err, out)
	}
	cache, err := filepath.Abs("../.cache")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "run", "../internal/chdb/fetch", "-cache", cache, "-print").Output()
	if err != nil {
		return "", fmt.Errorf("fetch libchdb: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// openDB returns a store on the real engine in an empty folder.
func openDB(t testing.TB, retention Retention) *DB {
	t.Helper()
	return openDir(t, t.TempDir(), retention)
}

func openDir(t testing.TB, dir string, retention Retention) *DB {
	t.Helper()
	if real.err != nil {
		testkit.Skip(t, "no engine: %v", real.err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	log := slog.New(slog.DiscardHandler)
	if _, bench := t.(*testing.B); !bench {
		log = testkit.Logger(t)
	}
	db, err := Open(ctx, Config{Embedded: Embedded{Dir: dir, Program: real.program, Library: real.library}, Retention: retention}, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return db
}

var equal = cmp.Options{cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()}

// filled returns a record in which every field has a value, chosen by the numbers of next.
func filled(next func() uint64) *event.Record {
	r := new(event.Record)
	for i := range event.Fields {
		f := &event.Fields[i]
		f.Set(r, randomValue(f, next))
	}
	r.Time = noon.Add(time.Duration(next() % uint64(72*time.Hour))) // each day is a part
	return r
}

func randomValue(f *event.Field, next func() uint64) reflect.Value {
	n := next()
	switch f.Type {
	case event.TypeString:
		return reflect.ValueOf(fmt.Sprintf("it's \\ \t\n\x00\xff %d", n))
	case event.TypeList:
		return reflect.ValueOf([]string{fmt.Sprint("l", n), "", "\xfe'"})
	case event.TypeInt:
		return reflect.ValueOf(int64(n))
	case event.TypeUint:
		return reflect.ValueOf(n>>(64-f.Bits) | 1)
	case event.TypeBool:
		return reflect.ValueOf(true)
	case event.TypeTime:
		return reflect.ValueOf(time.Unix(0, int64(n>>2)).UTC())
	case event.TypeIP:
		if n%2 == 0 {
			return reflect.ValueOf(netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), 1}))
		}
		return reflect.ValueOf(netip.AddrFrom16([16]byte{0x20, 1, 7: byte(n), 8: byte(n >> 8), 15: 1}))
	case event.TypeID:
		return reflect.ValueOf(flow.NewID(time.UnixMilli(1_700_000_000_000), uint16(n), n))
	default:
		return reflect.ValueOf([]byte{0, 0xff, byte(n), byte(n >> 8)})
	}
}

func TestRecordsComeBackAsTheyWere(t *testing.T) {
	db := openDB(t, Retention{})
	rnd := rand.New(rand.NewPCG(1, 2))
	want := []*event.Record{
		filled(rnd.Uint64),
		{ID: flow.NewID(time.UnixMilli(1), 1, 1), Time: time.Unix(1, 1).UTC(), Kind: event.KindAnomaly},
		{ID: flow.NewID(time.UnixMilli(1), 1, 2), Time: time.Unix(1, 2).UTC(), Kind: event.KindHTTP, HTTP: &event.HTTP{Request: &event.Message{}}},
		{ID: flow.NewID(time.UnixMilli(1), 1, 3), Time: time.Unix(1, 3).UTC(), Kind: event.KindTLS, TLS: &flow.TLS{}, Container: &flow.Container{}},
	}
	for range 200 {
		r := filled(rnd.Uint64)
		for i := range event.Fields {
			if f := &event.Fields[i]; f.Name != "id" && f.Name != "time" && rnd.IntN(3) > 0 {
				f.Set(r, reflect.Zero(f.Value(r).Type()))
			}
		}
		want = append(want, r)
	}
	if err := db.Append(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	page, err := db.Search(t.Context(), Search{Limit: MaxLimit, WithBodies: true})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(want, func(a, b *event.Record) int { return b.Time.Compare(a.Time) })
	if diff := cmp.Diff(want, page.Records, equal); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	got, err := db.Event(t.Context(), want[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want[0], got, equal); diff != "" {
		t.Errorf("one event: -want +got:\n%s", diff)
	}
	if _, err := db.Event(t.Context(), flow.NewID(time.Now(), 9, 9)); err != ErrNotFound {
		t.Errorf("an event that isn't there: %v", err)
	}
}
