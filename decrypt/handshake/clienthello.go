package handshake

// Extension types that this package reads (IANA registry "TLS ExtensionType Values").
const (
	extServerName          uint16 = 0
	extSupportedGroups     uint16 = 10
	extPointFormats        uint16 = 11
	extSignatureAlgorithms uint16 = 13
	extALPN                uint16 = 16
	extPreSharedKey        uint16 = 41
	extEarlyData           uint16 = 42
	extSupportedVersions   uint16 = 43
)

const (
	maxServerName = 255 // bytes (RFC 1035 §2.3.4)
	maxALPNs      = 64  // names that are kept of one hello
)

// ClientHello is the message that opens a handshake (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2). All lists are in the order of
// the wire and hold GREASE values (RFC 8701) as they were sent.
type ClientHello struct {
	Version             uint16 // the legacy field; see MaxVersion
	Random              [32]byte
	SessionID           []byte // valid as long as the parsed bytes
	CipherSuites        []uint16
	Extensions          []uint16
	ServerName          string
	ALPN                []string
	SupportedVersions   []uint16
	SignatureAlgorithms []uint16
	Groups              []uint16
	PointFormats        []uint8 // valid as long as the parsed bytes
	EarlyData           bool    // the client sends application data at once
	PreSharedKey        bool
}

// Parse fills in h from the body of a message, using the room of its lists again. After an error h holds what came before the fault.
func (h *ClientHello) Parse(body []byte) error {
	*h = ClientHello{
		CipherSuites: h.CipherSuites[:0], Extensions: h.Extensions[:0], SupportedVersions: h.SupportedVersions[:0],
		SignatureAlgorithms: h.SignatureAlgorithms[:0], Groups: h.Groups[:0], ALPN: nil,
	}
	r := reader{b: body}
	h.Version = r.u16()
	copy(h.Random[:], r.take(len(h.Random)))
	h.SessionID = r.vector(1)
	h.CipherSuites = r.appendU16s(h.CipherSuites, 2)
	r.vector(1)                // compression methods
	if r.failed || r.empty() { // before TLS 1.3 there need not be extensions
		return r.err()
	}
	return eachExtension(&r, func(t uint16, ext reader) error {
		h.Extensions = append(h.Extensions, t)
		h.parseExtension(t, ext)
		return nil
	})
}

// parseExtension reads what can be read of an extension: a server that does not know it does not mind what is in it either.
func (h *ClientHello) parseExtension(t uint16, r reader) {
	switch t {
	case extServerName:
		if h.ServerName == "" {
			h.ServerName = parseServerName(&r)
		}
	case extSupportedGroups:
		h.Groups = r.appendU16s(h.Groups[:0], 2)
	case extPointFormats:
		h.PointFormats = r.vector(1)
	case extSignatureAlgorithms:
		h.SignatureAlgorithms = r.appendU16s(h.SignatureAlgorithms[:0], 2)
	case extALPN:
		h.ALPN = parseALPN(&r)
	case extSupportedVersions:
		h.SupportedVersions = r.appendU16s(h.SupportedVersions[:0], 1)
	case extEarlyData:
		h.EarlyData = true
	case extPreSharedKey:
		h.PreSharedKey = true
	}
}

// MaxVersion returns the highest version that the client offers, GREASE aside.
func (h *ClientHello) MaxVersion() uint16 {
	v := uint16(0)
	for _, s := range h.SupportedVersions {
		if !isGREASE(s) {
			v = max(v, s)
		}
	}
	if v == 0 {
		return h.Version
	}
	return v
}

// eachExtension calls f for every extension of the block that r begins with.
func eachExtension(r *reader, f func(t uint16, ext reader) error) error {
	block := r.sub(2)
	for !block.failed && !block.empty() {
		t := block.u16()
		ext := block.sub(2)
		if block.failed {
			break
		}
		if err := f(t, ext); err != nil {
			return err
		}
	}
	return block.err()
}

// parseServerName returns the first name of type host_name (RFC 6066 §3).
func parseServerName(r *reader) string {
	list := r.sub(2)
	for !list.failed && !list.empty() {
		kind, name := list.u8(), list.vector(2)
		if kind == 0 && len(name) <= maxServerName {
			return string(name)
		}
	}
	r.failed = r.failed || list.failed
	return ""
}

// parseALPN returns the first protocol names of a list (RFC 7301 §3.1).
func parseALPN(r *reader) []string {
	list := r.sub(2)
	var names []string
	for !list.failed && !list.empty() && len(names) < maxALPNs {
		if name := list.vector(1); !list.failed {
			names = append(names, string(name))
		}
	}
	r.failed = r.failed || list.failed
	return names
}

// isGREASE reports whether v is one of the values that mean nothing (RFC 8701): 0x0A0A, 0x1A1A ... 0xFAFA.
func isGREASE(v uint16) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff }
