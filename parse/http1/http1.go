// Package http1 follows HTTP/1.0 and HTTP/1.1 (RFC 9112). Ordered bytes and gaps of both directions go in; transactions and
// files come out, and anomalies where the two ends of a connection may disagree on what was said. Bodies pass through,
// nothing but heads is held. What an upgrade or CONNECT leads to is for another parser.
package http1

import (
	"bytes"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
)

// Protocol is HTTP/1.
var Protocol = parse.Protocol{Name: "http1", Probe: probe, New: newParser, Requests: true}

// Anomaly codes. Those of framing are the ways in which RFC 9112 section 11.2 lets one request hide in another.
const (
	badRequestLine   = "http1_bad_request_line"
	badStatusLine    = "http1_bad_status_line"
	badHeader        = "http1_bad_header"         // a header line without a colon, or with an impossible name
	spaceBeforeColon = "http1_space_before_colon" // some take the line, some drop it
	obsFold          = "http1_obs_fold"
	bareLF           = "http1_bare_lf" // a line that does not end in CR LF
	bareCR           = "http1_bare_cr" // a CR inside of a line: some take it for a line end
	headTooLarge     = "http1_head_too_large"
	noHost           = "http1_no_host"
	spaceInTarget    = "http1_space_in_target" // where some see its end
	duplicateHost    = "http1_duplicate_host"

	badLength         = "http1_bad_content_length"
	duplicateLength   = "http1_duplicate_content_length"
	conflictingLength = "http1_conflicting_content_length"
	badCoding         = "http1_bad_transfer_encoding"   // chunked is not the last or only one, or is disguised
	codingAndLength   = "http1_te_and_content_length"   // TE.CL and CL.TE
	codingInHTTP10    = "http1_transfer_encoding_in_10" // which HTTP/1.0 does not know
	badChunkSize      = "http1_bad_chunk_size"
	badChunkEnd       = "http1_bad_chunk_end"

	tooManyOpen = "http1_too_many_pipelined"
)

// doubts are anomalies of a request after which servers disagree on where it ends, or on what it asks for.
var doubts = []string{
	badRequestLine, badHeader, spaceBeforeColon, obsFold, bareLF, bareCR, headTooLarge, duplicateHost, spaceInTarget,
	badLength, conflictingLength, badCoding, codingAndLength, codingInHTTP10, badChunkSize, badChunkEnd, tooManyOpen,
}

const (
	maxMethod = 24       // bytes of a method that a Probe believes in
	maxHeld   = 16 << 20 // bytes of requests that wait for their responses
	enough    = 1024     // bytes of a start line without an end that a Probe needs
)

// probe recognises a request line from the client and a status line from the server.
func probe(dir flow.Direction, b []byte) parse.Match {
	if dir == flow.ToClient {
		return probeStatus(b)
	}
	return probeRequest(bytes.TrimLeft(b, "\r\n")) // RFC 9112 section 2.2
}

func probeStatus(b []byte) parse.Match {
	const form = "HTTP/1.d ddd"
	for i := range form {
		switch {
		case i == len(b):
			return parse.Maybe
		case form[i] == 'd' && isDigit(b[i]) || form[i] == b[i] && form[i] != 'd':
		default:
			return parse.No
		}
	}
	return parse.Yes
}

// probeRequest wants a method, a target and a version; of a long target it sees the beginning only.
func probeRequest(b []byte) parse.Match {
	for i, c := range b[:min(len(b), maxMethod+1)] {
		if c == ' ' && i > 0 {
			return probeTarget(b[i+1:])
		}
		if i == maxMethod || c != '-' && c != '_' && (c|0x20 < 'a' || c|0x20 > 'z') {
			return parse.No
		}
	}
	return parse.Maybe
}

func probeTarget(b []byte) parse.Match {
	line, _, whole := bytes.Cut(b[:min(len(b), enough)], []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	for _, c := range line {
		if c < ' ' || c == 0x7f {
			return parse.No
		}
	}
	switch {
	case whole:
		if target, version, ok := cutLast(line, ' '); ok && len(target) > 0 && isVersion(version) {
			return parse.Yes
		}
		return parse.No
	case len(b) >= enough:
		return parse.Yes
	}
	return parse.Maybe
}

// isVersion accepts HTTP/1.0, HTTP/1.1 and what else may come of HTTP/1.
func isVersion(b []byte) bool {
	return len(b) == len("HTTP/1.1") && string(b[:7]) == "HTTP/1." && isDigit(b[7])
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func cutLast(b []byte, sep byte) (before, after []byte, ok bool) {
	if i := bytes.LastIndexByte(b, sep); i >= 0 {
		return b[:i], b[i+1:], true
	}
	return b, nil, false
}
