package dns

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"net/netip"
	"strconv"
	"time"
)

const (
	typeA    = 1
	typeAAAA = 28
	typeOPT  = 41
)

// record is a type of record: its mnemonic and the layout of its data, one letter a field:
//
//	n name             1 2 4 number of so many bytes   a A IPv4, IPv6 address     T type         t time
//	s S one, all character-strings quoted              c character-string bare    q rest quoted
//	h x rest, one counted string in hexadecimal        b rest in base64           y counted string in base32
//	m bitmap of types  p parameters of a service binding
//
// A record without a layout is written in the generic form.
type record struct{ name, layout string }

// records are the types of the IANA registry that are in use.
var records = map[uint16]record{
	1: {"A", "a"}, 2: {"NS", "n"}, 5: {"CNAME", "n"}, 6: {"SOA", "nn44444"}, 7: {"MB", "n"}, 8: {"MG", "n"}, 9: {"MR", "n"},
	10: {"NULL", ""}, 11: {"WKS", ""}, 12: {"PTR", "n"}, 13: {"HINFO", "ss"}, 14: {"MINFO", "nn"}, 15: {"MX", "2n"}, 16: {"TXT", "S"},
	17: {"RP", "nn"}, 18: {"AFSDB", "2n"}, 19: {"X25", "s"}, 20: {"ISDN", "S"}, 21: {"RT", "2n"}, 24: {"SIG", "T114tt2nb"},
	25: {"KEY", "211b"}, 26: {"PX", "2nn"}, 28: {"AAAA", "A"}, 29: {"LOC", ""}, 32: {"NB", ""}, 33: {"SRV", "222n"}, 35: {"NAPTR", "22sssn"},
	36: {"KX", "2n"}, 37: {"CERT", "221b"}, 39: {"DNAME", "n"}, 41: {"OPT", ""}, 42: {"APL", ""}, 43: {"DS", "211h"}, 44: {"SSHFP", "11h"},
	45: {"IPSECKEY", ""}, 46: {"RRSIG", "T114tt2nb"}, 47: {"NSEC", "nm"}, 48: {"DNSKEY", "211b"}, 49: {"DHCID", "b"}, 50: {"NSEC3", "112xym"},
	51: {"NSEC3PARAM", "112x"}, 52: {"TLSA", "111h"}, 53: {"SMIMEA", "111h"}, 55: {"HIP", ""}, 59: {"CDS", "211h"}, 60: {"CDNSKEY", "211b"},
	61: {"OPENPGPKEY", "b"}, 62: {"CSYNC", "42m"}, 63: {"ZONEMD", "411h"}, 64: {"SVCB", "2np"}, 65: {"HTTPS", "2np"}, 99: {"SPF", "S"},
	108: {"EUI48", ""}, 109: {"EUI64", ""}, 249: {"TKEY", ""}, 250: {"TSIG", ""}, 251: {"IXFR", ""}, 252: {"AXFR", ""}, 253: {"MAILB", ""},
	255: {"ANY", ""}, 256: {"URI", "22q"}, 257: {"CAA", "1cq"}, 258: {"AVC", "S"}, 32769: {"DLV", "211h"},
}

// appendData writes the data of a record. r is bad afterwards if it does not fit its layout exactly.
func (r *reader) appendData(dst []byte, typ uint16) []byte {
	layout := records[typ].layout
	if layout == "" {
		return r.appendGeneric(dst)
	}
	for i := range len(layout) {
		dst = append(r.appendField(dst, layout[i]), ' ')
	}
	r.bad = r.bad || r.left() > 0
	return bytes.TrimRight(dst, " ") // a last field may be empty
}

// appendGeneric writes data of unknown format (RFC 3597, section 5).
func (r *reader) appendGeneric(dst []byte) []byte {
	dst = append(dst, `\# `...)
	dst = strconv.AppendInt(dst, int64(r.left()), 10)
	if b := r.rest(); len(b) > 0 {
		dst = hex.AppendEncode(append(dst, ' '), b)
	}
	return dst
}

func (r *reader) appendField(dst []byte, kind byte) []byte {
	switch kind {
	case 'n':
		return r.name(dst)
	case '1':
		return strconv.AppendUint(dst, uint64(r.u8()), 10)
	case '2':
		return strconv.AppendUint(dst, uint64(r.u16()), 10)
	case '4':
		return strconv.AppendUint(dst, uint64(r.u32()), 10)
	case 'a':
		return appendAddress(dst, r.take(4))
	case 'A':
		return appendAddress(dst, r.take(16))
	case 'T':
		return append(dst, typeName(r.u16())...)
	case 't':
		return time.Unix(int64(r.u32()), 0).UTC().AppendFormat(dst, "20060102150405")
	case 's':
		return appendQuoted(dst, r.counted())
	case 'S':
		return r.appendStrings(dst)
	case 'c':
		return appendBare(dst, r.counted())
	case 'q':
		return appendQuoted(dst, r.rest())
	case 'h':
		return hex.AppendEncode(dst, r.rest())
	case 'x':
		return appendHexOrDash(dst, r.counted())
	case 'b':
		return base64.StdEncoding.AppendEncode(dst, r.rest())
	case 'y':
		return base32.HexEncoding.WithPadding(base32.NoPadding).AppendEncode(dst, r.counted())
	case 'm':
		return r.appendTypes(dst)
	}
	return r.appendParameters(dst) // 'p'
}

// counted returns the bytes behind a length byte.
func (r *reader) counted() []byte { return r.take(int(r.u8())) }

func appendAddress(dst, b []byte) []byte {
	addr, _ := netip.AddrFromSlice(b)
	return addr.AppendTo(dst)
}

func appendQuoted(dst, b []byte) []byte { return append(appendBare(append(dst, '"'), b), '"') }

// appendBare escapes what would end a quoted string, and what is not printable.
func appendBare(dst, b []byte) []byte {
	for _, c := range b {
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case ' ':
			dst = append(dst, c)
		default:
			dst = appendEscaped(dst, c)
		}
	}
	return dst
}

func appendHexOrDash(dst, b []byte) []byte {
	if len(b) == 0 {
		return append(dst, '-')
	}
	return hex.AppendEncode(dst, b)
}

func (r *reader) appendStrings(dst []byte) []byte {
	for first := true; first || r.left() > 0 && !r.bad; first = false {
		if !first {
			dst = append(dst, ' ')
		}
		dst = appendQuoted(dst, r.counted())
	}
	return dst
}

// appendTypes writes a type bitmap (RFC 4034, section 4.1.2).
func (r *reader) appendTypes(dst []byte) []byte {
	for first := true; r.left() > 0 && !r.bad; {
		window := uint16(r.u8()) << 8
		for i, c := range r.counted() {
			for bit := range 8 {
				if c&(0x80>>bit) == 0 {
					continue
				}
				if !first {
					dst = append(dst, ' ')
				}
				first = false
				dst = append(dst, typeName(window|uint16(8*i+bit))...)
			}
		}
	}
	return dst
}
