package dns

import (
	"encoding/base64"
	"strconv"
)

// appendParameters writes the parameters of SVCB and HTTPS records (RFC 9460, section 2.1; dohpath RFC 9461).
func (r *reader) appendParameters(dst []byte) []byte {
	for first := true; r.left() > 0 && !r.bad; first = false {
		if !first {
			dst = append(dst, ' ')
		}
		k := r.u16()
		size := int(r.u16())
		value := reader{msg: r.msg, off: r.off, end: r.off + size}
		if r.take(size); r.bad {
			break
		}
		dst = value.appendParameter(dst, k)
		r.bad = value.bad
	}
	return dst
}

func (r *reader) appendParameter(dst []byte, k uint16) []byte {
	switch k {
	case 0:
		return r.appendListed(append(dst, "mandatory="...), func(dst []byte) []byte { return append(dst, parameterName(r.u16())...) })
	case 1:
		return r.appendListed(append(dst, "alpn="...), func(dst []byte) []byte { return appendLabel(dst, r.counted()) })
	case 2:
		r.bad = r.left() > 0
		return append(dst, "no-default-alpn"...)
	case 3:
		dst = strconv.AppendUint(append(dst, "port="...), uint64(r.u16()), 10)
		r.bad = r.bad || r.left() > 0
		return dst
	case 4:
		return r.appendListed(append(dst, "ipv4hint="...), func(dst []byte) []byte { return appendAddress(dst, r.take(4)) })
	case 5:
		return base64.StdEncoding.AppendEncode(append(dst, "ech="...), r.rest())
	case 6:
		return r.appendListed(append(dst, "ipv6hint="...), func(dst []byte) []byte { return appendAddress(dst, r.take(16)) })
	}
	dst = append(append(dst, parameterName(k)...), '=')
	return appendQuoted(dst, r.rest())
}

// appendListed writes the values that follow one another to the end, with commas between them.
func (r *reader) appendListed(dst []byte, value func([]byte) []byte) []byte {
	for first := true; r.left() > 0 && !r.bad; first = false {
		if !first {
			dst = append(dst, ',')
		}
		dst = value(dst)
	}
	return dst
}

func parameterName(k uint16) string {
	names := [...]string{"mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath", "ohttp"}
	if int(k) < len(names) {
		return names[k]
	}
	return "key" + strconv.Itoa(int(k))
}
