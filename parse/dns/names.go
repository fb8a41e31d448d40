package dns

import "strconv"

const (
	classIN    = 1
	cacheFlush = 1 << 15 // of a class in multicast DNS: flush the cache, or answer by unicast (RFC 6762)
)

// typeName returns the mnemonic of a record type, or TYPE and its number (RFC 3597).
func typeName(typ uint16) string {
	if r, ok := records[typ]; ok {
		return r.name
	}
	return "TYPE" + strconv.Itoa(int(typ))
}

// className returns the mnemonic of a class, or "" for one that nobody uses.
func className(class uint16) string {
	switch class {
	case classIN:
		return "IN"
	case 3:
		return "CH"
	case 4:
		return "HS"
	case 254:
		return "NONE"
	case 255:
		return "ANY"
	}
	return ""
}

func opcodeName(op uint16) string {
	switch op {
	case 1:
		return "IQUERY"
	case 2:
		return "STATUS"
	case 4:
		return "NOTIFY"
	case 5:
		return "UPDATE"
	case 6:
		return "DSO"
	}
	return "OPCODE" + strconv.Itoa(int(op))
}

// codes are the response codes 0 to 23, of the header or extended by EDNS; those that are empty are not assigned.
var codes = [...]string{
	"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE", "DSOTYPENI",
	"", "", "", "", "BADVERS", "BADKEY", "BADTIME", "BADMODE", "BADNAME", "BADALG", "BADTRUNC", "BADCOOKIE",
}

func codeName(code uint16) string {
	if int(code) < len(codes) && codes[code] != "" {
		return codes[code]
	}
	return "RCODE" + strconv.Itoa(int(code))
}
