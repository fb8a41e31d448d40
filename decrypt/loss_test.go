package decrypt_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/decrypt"
	"github.com/vitrine-ndr/vitrine/decrypt/handshake"
	"github.com/vitrine-ndr/vitrine/flow"
)

// TestEachRecordLost leaves out one record after the other. Once keys are known, everything but that record is heard.
func TestEachRecordLost(t *testing.T) {
	eachKind(t, func(t *testing.T, rec *recording) {
		keys := storeOf(rec.keys.Bytes())
		whole := records(t, rec.chunks)
		_, complete := replay(keys, rec.chunks)
		for lost := range whole {
			h := &heard{}
			s := newWorker(keys).NewSession(h)
			for i, c := range whole {
				if i == lost {
					s.Gap(c.dir, c.at, len(c.b))
				} else {
					s.Data(c.dir, c.at, c.b)
				}
			}
			s.Close(time.Time{})
			checkLoss(t, fmt.Sprintf("record %d (type %d)", lost, whole[lost].b[0]), whole[lost].b[0] == 23, rec, complete, s, h)
		}
	})
}

func checkLoss(t *testing.T, name string, protected bool, rec *recording, complete *heard, s *decrypt.Session, h *heard) {
	t.Helper()
	_, d := s.Facts()
	for dir := range h.plain {
		missing := len(complete.plain[dir]) - len(h.plain[dir])
		if protected && h.bytes[dir] != missing && h.bytes[dir] != 0 {
			t.Errorf("%s: %v: told of %d lost bytes of %d", name, flow.Direction(dir), h.bytes[dir], missing)
		}
		if protected && missing > 16384 {
			t.Errorf("%s: %v: %d bytes are missing: more than the record", name, flow.Direction(dir), missing)
		}
		if missing > 0 && h.lost[dir] == 0 && d.State != flow.DecryptedNo {
			t.Errorf("%s: %v: %d bytes are missing, not a word of it", name, flow.Direction(dir), missing)
		}
		if missing > 0 && d.Reason != flow.GapInRecords {
			t.Errorf("%s: got %+v", name, d)
		}
	}
}

// TestEachPacketLost leaves out one segment after the other, as loss on a link does: records lose heads, tails and middles.
func TestEachPacketLost(t *testing.T) {
	eachKind(t, func(t *testing.T, rec *recording) {
		keys := storeOf(rec.keys.Bytes())
		var packets []chunk
		for _, c := range rec.chunks {
			for b := range slices.Chunk(c.b, 1400) {
				packets = append(packets, chunk{c.dir, c.at, b})
			}
		}
		_, complete := replay(keys, rec.chunks)
		hellos := 3 // the packets without which nothing can be had are among the first
		for lost := hellos; lost < len(packets); lost++ {
			h := &heard{}
			s := newWorker(keys).NewSession(h)
			for i, c := range packets {
				if i == lost {
					s.Gap(c.dir, c.at, len(c.b))
				} else {
					s.Data(c.dir, c.at, c.b)
				}
			}
			s.Close(time.Time{})
			for dir := range h.plain {
				missing := len(complete.plain[dir]) - len(h.plain[dir])
				if missing > 2*16384 {
					t.Errorf("packet %d: %d bytes missing", lost, missing)
				}
				if h.bytes[dir] != missing && h.bytes[dir] != 0 {
					t.Errorf("packet %d: told of %d lost bytes of %d", lost, h.bytes[dir], missing)
				}
			}
		}
	})
}

// TestCutShort ends the capture within a record: near its end, and within its header.
func TestCutShort(t *testing.T) {
	eachKind(t, func(t *testing.T, rec *recording) {
		whole := records(t, rec.chunks)
		last := 0
		for i, c := range whole {
			if c.dir == flow.ToClient && len(c.b) > 1000 {
				last = i
			}
		}
		for _, left := range []int{len(whole[last].b) - 10, 3} {
			chunks := slices.Clone(whole[:last+1])
			chunks[last].b = chunks[last].b[:left]
			s, h := replay(storeOf(rec.keys.Bytes()), chunks)
			_, d := s.Facts()
			if d != (flow.Decryption{State: flow.DecryptedPartial, Source: flow.FromKeys, Reason: flow.GapInRecords}) || h.lost[flow.ToClient] != 1 {
				t.Errorf("%d bytes of the last record: got %+v, %d losses told", left, d, h.lost[flow.ToClient])
			}
			if !bytes.HasPrefix(rec.said[flow.ToClient], h.plain[flow.ToClient]) {
				t.Error("heard what was not said")
			}
		}
	})
}

// TestLateKeyBehindLostFinished loses the end of the server's handshake while only the handshake secrets are known: nothing tells
// its messages from the data that follows, so all of it waits.
func TestLateKeyBehindLostFinished(t *testing.T) {
	rec := tls13(t, append([]turn{{flow.ToClient, []byte("220 ready\r\n")}}, dialogue...)...)
	early, late := withoutLabel(rec, "TRAFFIC_SECRET_0"), withoutLabel(rec, "HANDSHAKE")
	whole := records(t, rec.chunks)
	finished := 1 // the server's last record before the client answers
	for whole[finished+1].dir == flow.ToClient {
		finished++
	}
	flipped := bytes.Clone(whole[finished].b)
	flipped[handshake.HeaderLen] ^= 1
	for name, c := range map[string]struct {
		finished, later []byte
		want            flow.Decryption
	}{
		"gap, key":            {nil, late, flow.Decryption{State: flow.DecryptedYes, Source: flow.FromKeys}},
		"gap, no key":         {nil, nil, flow.Decryption{State: flow.DecryptedNo, Reason: flow.NoKey}},
		"flipped bit, key":    {flipped, late, flow.Decryption{State: flow.DecryptedYes, Source: flow.FromKeys}},
		"flipped bit, no key": {flipped, nil, flow.Decryption{State: flow.DecryptedNo, Reason: flow.NoKey}},
	} {
		t.Run(name, func(t *testing.T) {
			keys := storeOf(early)
			h := &heard{}
			s := newWorker(keys).NewSession(h)
			for i, r := range whole {
				switch {
				case i != finished:
					s.Data(r.dir, r.at, r.b)
				case c.finished == nil:
					s.Gap(r.dir, r.at, len(r.b))
				default:
					s.Data(r.dir, r.at, c.finished)
				}
			}
			keys.Add(c.later)
			s.Close(time.Time{})
			if _, d := s.Facts(); d != c.want {
				t.Errorf("got %+v, want %+v", d, c.want)
			}
			for dir := range h.plain {
				if c.later != nil && !bytes.Equal(h.plain[dir], rec.said[dir]) {
					t.Errorf("%v: heard %d bytes, said %d", flow.Direction(dir), len(h.plain[dir]), len(rec.said[dir]))
				}
			}
		})
	}
}
