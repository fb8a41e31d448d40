package reassembly

import (
	"net"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/vitrine-ndr/vitrine/capture"
	"github.com/vitrine-ndr/vitrine/flow"
)

// build serialises layers: gopacket, not this package's own idea of the formats, makes the packets.
func build(t testing.TB, ls ...gopacket.SerializableLayer) []byte {
	t.Helper()
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true}, ls...); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestDecode(t *testing.T) {
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	ether := func(next layers.EthernetType) *layers.Ethernet {
		return &layers.Ethernet{SrcMAC: mac, DstMAC: mac, EthernetType: next}
	}
	tag := func(next layers.EthernetType) *layers.Dot1Q { return &layers.Dot1Q{VLANIdentifier: 7, Type: next} }
	ip4 := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: net.IP{10, 0, 0, 9}, DstIP: net.IP{10, 0, 0, 2}}
	ip6 := &layers.IPv6{Version: 6, NextHeader: layers.IPProtocolTCP, SrcIP: net.ParseIP("2001:db8::9"), DstIP: net.ParseIP("2001:db8::2")}
	seg := &layers.TCP{SrcPort: 40000, DstPort: 443, Seq: 7, Ack: 9, ACK: true, Options: []layers.TCPOption{{OptionType: layers.TCPOptionKindNop}}}
	dgram := &layers.UDP{SrcPort: 40000, DstPort: 53}
	udp4, frag, icmp := *ip4, *ip4, *ip4
	udp4.Protocol, frag.Flags, icmp.Protocol = layers.IPProtocolUDP, layers.IPv4MoreFragments, layers.IPProtocolICMPv4
	data := gopacket.Payload("data")
	cut := func(n int, b []byte) []byte { return b[:len(b)-n] }
	sll := func(proto uint16, rest []byte) []byte {
		return append([]byte{0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, byte(proto >> 8), byte(proto)}, rest...)
	}
	sll2 := func(proto uint16, rest []byte) []byte {
		return append([]byte{byte(proto >> 8), byte(proto), 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0}, rest...)
	}
	hop := []byte{6, 0, 1, 4, 0, 0, 0, 0} // hop-by-hop options: next header TCP, PadN
	withHop := func() []byte {
		b := build(t, &layers.IPv6{Version: 6, NextHeader: layers.IPProtocolIPv6HopByHop, SrcIP: ip6.SrcIP, DstIP: ip6.DstIP}, gopacket.Payload(append(hop, build(t, seg, data)...)))
		return b
	}()
	tests := map[string]struct {
		link    capture.LinkType
		data    []byte
		want    drop
		payload string
		missing int
	}{
		"Ethernet":              {capture.Ethernet, build(t, ether(layers.EthernetTypeIPv4), ip4, seg, data), dropNone, "data", 0},
		"Ethernet, padded":      {capture.Ethernet, append(build(t, ether(layers.EthernetTypeIPv4), ip4, seg, data), 0, 0, 0, 0), dropNone, "data", 0},
		"Ethernet, IPv6":        {capture.Ethernet, build(t, ether(layers.EthernetTypeIPv6), ip6, seg, data), dropNone, "data", 0},
		"one tag":               {capture.Ethernet, build(t, ether(layers.EthernetTypeDot1Q), tag(layers.EthernetTypeIPv4), ip4, seg, data), dropNone, "data", 0},
		"two tags":              {capture.Ethernet, build(t, ether(layers.EthernetTypeQinQ), tag(layers.EthernetTypeDot1Q), tag(layers.EthernetTypeIPv6), ip6, seg, data), dropNone, "data", 0},
		"too many tags":         {capture.Ethernet, build(t, ether(layers.EthernetTypeQinQ), tag(layers.EthernetTypeDot1Q), tag(layers.EthernetTypeDot1Q), tag(layers.EthernetTypeDot1Q), tag(layers.EthernetTypeIPv4), ip4, seg, data), dropNotIP, "", 0},
		"cooked":                {capture.LinuxCooked, sll(etherIPv4, build(t, ip4, seg, data)), dropNone, "data", 0},
		"cooked, version 2":     {capture.LinuxSLL2, sll2(etherIPv6, build(t, ip6, seg, data)), dropNone, "data", 0},
		"BSD loopback":          {capture.Null, append([]byte{2, 0, 0, 0}, build(t, ip4, seg, data)...), dropNone, "data", 0},
		"OpenBSD loopback":      {capture.Loop, append([]byte{0, 0, 0, 24}, build(t, ip6, seg, data)...), dropNone, "data", 0},
		"raw":                   {capture.RawIP, build(t, ip6, seg, data), dropNone, "data", 0},
		"extension header":      {capture.IPv6, withHop, dropNone, "data", 0},
		"UDP":                   {capture.RawIP, build(t, &udp4, dgram, data), dropNone, "data", 0},
		"snap length":           {capture.RawIP, cut(3, build(t, ip4, seg, data)), dropNone, "d", 3},
		"snap length in header": {capture.RawIP, cut(5, build(t, ip4, seg, data)), dropNone, "", 4},
		"ARP":                   {capture.Ethernet, build(t, ether(layers.EthernetTypeARP), data), dropNotIP, "", 0},
		"fragment":              {capture.RawIP, build(t, &frag, seg, data), dropFragment, "", 0},
		"ICMP":                  {capture.RawIP, build(t, &icmp, data), dropTransport, "", 0},
		"cut in the IP header":  {capture.RawIP, build(t, ip4, seg, data)[:15], dropMalformed, "", 0},
		"unknown link":          {147, build(t, ip4, seg, data), dropLink, "", 0},
		"empty":                 {capture.RawIP, nil, dropMalformed, "", 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var s segment
			got := decode(&capture.Packet{Link: tt.link, Data: tt.data}, &s)
			if got != tt.want {
				t.Fatalf("dropped for %q, want %q", got, tt.want)
			}
			if got != dropNone {
				return
			}
			if string(s.payload) != tt.payload || s.missing != tt.missing {
				t.Errorf("payload is %q and %d bytes are missing, want %q and %d", s.payload, s.missing, tt.payload, tt.missing)
			}
			if s.fromLow || s.key.endpoint(1).Port != 40000 {
				t.Errorf("client is %s, sender is the lower endpoint: %v", s.key.endpoint(1), s.fromLow)
			}
			if s.proto == flow.TCP && (s.seq != 7 || s.ack != 9 || s.flags != flagACK) {
				t.Errorf("got sequence number %d, acknowledgement %d, flags %x", s.seq, s.ack, s.flags)
			}
		})
	}
}
