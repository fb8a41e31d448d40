package pin

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// check finds servers and clients that do not know of each other what they should.
func (t *Table) check() error {
	entries := slices.Collect(t.servers.all())
	for _, e := range t.decided {
		entries = append(entries, e)
	}
	ties := 0
	for _, e := range entries {
		if len(e.refusing) > maxRefusing || len(e.refusing) == 0 && e.state == "" {
			return fmt.Errorf("%q is refused by %d clients", e.Name, len(e.refusing))
		}
		for _, r := range e.refusing {
			ties++
			c := t.peek(r.client)
			if c == nil || !slices.ContainsFunc(c.refused, func(r refused) bool { return r.server == e }) {
				return fmt.Errorf("%s does not know that it refuses %q", r.client, e.Name)
			}
		}
	}
	for c := range t.clients.all() {
		if ties -= len(c.refused); len(c.refused) > maxRefused {
			return fmt.Errorf("%s refuses %d servers", c.address, len(c.refused))
		}
	}
	if ties != 0 || len(t.servers.entries) > maxServers || len(t.clients.entries) > maxClients || len(t.decided) > maxDecided {
		return fmt.Errorf("%d ties on one side alone; %d servers, %d clients, %d decided", ties, len(t.servers.entries), len(t.clients.entries), len(t.decided))
	}
	return nil
}

// TestTiesStayWhole has clients and people do all that they can, at random, with few of all and with more than there is room for.
func TestTiesStayWhole(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, size := range []struct{ clients, servers, steps int }{{5, 5, 3000}, {30, 300, 20_000}, {20_000, 10_000, 60_000}} {
		table, now := New(Config{}), time.Unix(1_800_000_000, 0)
		for step := range size.steps {
			n := random.IntN(size.clients)
			from := netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
			to := Server{Name: fmt.Sprintf("n%d.example", random.IntN(size.servers)), Address: netip.MustParseAddrPort("192.0.2.1:443")}
			now = now.Add(time.Duration(random.IntN(5)) * time.Second)
			switch id := to.id(); random.IntN(24) {
			case 0:
				_ = table.Approve(id)
			case 1:
				_ = table.Reject(id)
			case 2:
				_ = table.Forget(id)
			case 3, 4:
				table.Accept(from, to, now)
			case 5:
				table.Pinned(from, to, now)
			default:
				table.Refuse(from, to, Evidence(1+random.IntN(2)), now)
			}
			if step%(size.steps/30) == 0 {
				if err := table.check(); err != nil {
					t.Fatalf("%+v, step %d: %v", size, step, err)
				}
				table.List(now)
				table.Distrust(now)
			}
		}
		other := New(Config{})
		if err := other.Import(table.Export(now), now); err != nil {
			t.Fatal(err)
		}
		if err := other.check(); err != nil {
			t.Errorf("%+v, restored: %v", size, err)
		}
	}
}

// FuzzImport reads what a file has kept, as somebody may have changed it.
func FuzzImport(f *testing.F) {
	f.Add([]byte(`[{"name":"a.example","address":"192.0.2.1:443","state":"approved","clients":{"10.0.0.1":"2026-01-01T00:00:00Z"}},{"name":"A.example.","address":"","until":"2027-01-01T00:00:00Z"}]`))
	f.Add([]byte(`[{"address":"[2001:db8::1]:443","count":-1}]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var list []Saved
		if json.Unmarshal(text, &list) != nil {
			return
		}
		table, now := New(Config{}), time.Unix(1_800_000_000, 0)
		err := table.Import(list, now)
		for _, p := range table.List(now) {
			if err := table.Forget(p.ID); err != nil {
				t.Error(err)
			}
		}
		if err != nil {
			return
		}
		for _, s := range list {
			table.Refuse(netip.MustParseAddr("10.0.0.1"), Server{s.Name, s.Address}, Refused, now)
		}
	})
}
