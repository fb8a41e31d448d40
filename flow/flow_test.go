package flow

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"
)

func endpoint(s string) Endpoint {
	a := netip.MustParseAddrPort(s)
	return Endpoint{a.Addr(), a.Port()}
}

// TestCommunityID checks examples of the specification, in both directions.
func TestCommunityID(t *testing.T) {
	tests := map[string]struct {
		proto Proto
		a, b  string
		want  string
	}{
		"TCP":  {TCP, "128.232.110.120:34855", "66.35.250.204:80", "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
		"UDP":  {UDP, "192.168.1.52:54585", "8.8.8.8:53", "1:d/FP5EW3wiY1vCndhwleRRKHowQ="},
		"IPv6": {TCP, "[fe80:1:203:405:607:809:a0b:c0d]:40000", "[fe80:1:203:405:607:809:a0b:c0e]:443", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			there := Tuple{tt.proto, endpoint(tt.a), endpoint(tt.b)}.CommunityID()
			back := Tuple{tt.proto, endpoint(tt.b), endpoint(tt.a)}.CommunityID()
			if there != back {
				t.Errorf("%s one way, %s the other", there, back)
			}
			if tt.want != "" && there != tt.want {
				t.Errorf("got %s, want %s", there, tt.want)
			}
		})
	}
}

func TestMappedIPv4IsIPv4(t *testing.T) {
	plain := Tuple{TCP, endpoint("10.0.0.1:1000"), endpoint("10.0.0.2:80")}
	mapped := Tuple{TCP, endpoint("[::ffff:10.0.0.1]:1000"), endpoint("[::ffff:10.0.0.2]:80")}
	if plain.CommunityID() != mapped.CommunityID() {
		t.Errorf("%s and %s", plain.CommunityID(), mapped.CommunityID())
	}
}

func TestIDsAreRepeatableUniqueAndSortByTime(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123)
	tuple := Tuple{TCP, endpoint("10.0.0.1:1000"), endpoint("10.0.0.2:80")}
	a, same := NewConn(0, tuple, at), NewConn(0, tuple, at)
	if a.ID != same.ID {
		t.Errorf("the same conversation is %s and %s", a.ID, same.ID)
	}
	seen := map[ID]bool{a.ID: true}
	later, otherRun := NewConn(0, tuple, at.Add(time.Microsecond)), NewConn(NewSeed(), tuple, at)
	for _, id := range []ID{later.ID, otherRun.ID} {
		if seen[id] {
			t.Errorf("%s is there twice", id)
		}
		seen[id] = true
	}
	for n := range uint64(100_000) {
		id := a.EventID(at, n)
		if seen[id] {
			t.Fatalf("%s is there twice", id)
		}
		seen[id] = true
	}
	if next := NewConn(0, tuple, at.Add(time.Millisecond)); next.ID.String() <= a.ID.String() {
		t.Errorf("%s is not after %s", next.ID, a.ID)
	}
	if !a.ID.Time().Equal(at) {
		t.Errorf("the time of %s is %s", a.ID, a.ID.Time())
	}
}

func TestTextForms(t *testing.T) {
	id := NewID(time.UnixMilli(1), 2, 3)
	b, err := json.Marshal(struct {
		ID    ID
		Proto []Proto
	}{id, []Proto{TCP, UDP, 132}})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"ID":"00000000000100020000000000000003","Proto":["tcp","udp","proto-132"]}`; string(b) != want {
		t.Errorf("got %s, want %s", b, want)
	}
	var back struct {
		ID    ID
		Proto []Proto
	}
	if err := json.Unmarshal(b, &back); err != nil || back.ID != id || back.Proto[2] != 132 {
		t.Errorf("got %+v, %v", back, err)
	}
	for _, bad := range []string{"", "00", "zz000000000100020000000000000003"} {
		if err := new(ID).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q was taken for an id", bad)
		}
	}
	if err := new(Proto).UnmarshalText([]byte("sctp")); err == nil {
		t.Error("sctp was taken for a known protocol")
	}
}
