// Package content is what every protocol does with a body or file: wire bytes go in as they come, an event.Content comes
// out. It decompresses in constant memory, counts, hashes, keeps the beginning and names the media type. For HTTP of any
// version it also builds the transaction's event and those of its files. It knows nothing of framing: which bytes belong
// to a body is for the protocol to say.
package content

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/parse"
)

// Anomaly codes of content.
const (
	UnknownEncoding  = "content_unknown_encoding"   // left as it is
	TooManyEncodings = "content_too_many_encodings" // left as it is
	NotEncoded       = "content_not_encoded"        // it does not begin as its encoding does: left as it is
	Undecodable      = "content_undecodable"        // decompression failed midway
	TrailingBytes    = "content_trailing_bytes"     // something follows the end of the compressed content
	SizeExceeded     = "content_size_exceeded"      // Limits.Decompressed
	RatioExceeded    = "content_ratio_exceeded"     // Limits.Ratio
	TimeExceeded     = "content_time_exceeded"      // Output.Exhausted
	OverMemory       = "content_over_memory"        // Output.Memory is used up: left as it is, or nothing more of it kept
)

// Sink takes one body or file. Finish must be called in the end, whatever happened: it lets go of what decompression holds. Release
// lets go of what is kept.
type Sink struct {
	out     *parse.Output
	decoder *decoder // nil if the content is not encoded
	shared  bool     // the decoder is an Inflater's and goes on after this content
	tee     func(plain []byte)
	hash    hash.Hash
	kept    []byte
	held    int         // bytes that were taken for kept
	full    bool        // there are no more
	size    int64       // of the plain content
	wire    int64       // as transferred
	state   event.State // why not all of it was seen, empty as long as all was
}

// New returns a Sink for content with the encodings that a Content-Encoding header lists: gzip, deflate, br, zstd,
// several of them, or none.
func New(out *parse.Output, encodings string) *Sink {
	s := &Sink{out: out, hash: sha256.New()}
	if names := s.names(encodings); len(names) > 0 {
		s.decoder = newDecoder(s, names)
	}
	return s
}

// Tee makes the Sink hand on the plain content, too. The bytes are valid until f returns.
func (s *Sink) Tee(f func(plain []byte)) { s.tee = f }

// Write takes the next bytes as they were transferred.
func (s *Sink) Write(b []byte) {
	s.wire += int64(len(b))
	if s.decoder == nil {
		s.plain(b)
		return
	}
	s.decoder.write(b)
}

// Gap tells of n bytes that were not seen (0: unknown). They count as transferred. What follows is counted if the content
// is not encoded, else it cannot be understood.
func (s *Sink) Gap(n int) {
	s.wire += int64(n)
	if s.decoder == nil {
		s.size += int64(n)
	} else {
		s.decoder.close(true)
	}
	s.state = event.HasGap
}

// Finish returns what is known of the content, whose state is that of its transfer. There is a hash iff all of it was seen, and
// it is no longer than Limits.Hashed.
func (s *Sink) Finish(state event.State) event.Content {
	c := event.Content{}
	if s.decoder != nil {
		if s.shared && state == event.Complete {
			s.decoder.write(messageEnd[:])
		} else {
			s.decoder.close(state != event.Complete)
		}
		c.Encoding = s.decoder.undone()
	}
	c.State = worse(s.state, state)
	c.Size, c.WireSize, c.Type = s.size, s.wire, Type(s.kept)
	if n := s.out.Limits.Body; len(s.kept) > n {
		s.kept = s.kept[:n:n]
	}
	c.Body, c.Truncated = s.kept, int64(len(s.kept)) < s.size
	if c.State == event.Complete && s.hashes() {
		c.SHA256 = hex.EncodeToString(s.hash.Sum(make([]byte, 0, sha256.Size)))
	}
	return c
}

// plain takes the next bytes of the content itself.
func (s *Sink) plain(b []byte) {
	s.size += int64(len(b))
	if s.state != event.HasGap {
		if s.hashes() {
			s.hash.Write(b)
		}
		s.keep(b)
	}
	if s.tee != nil {
		s.tee(b)
	}
}

// hashes tells whether what was seen is short enough for a hash.
func (s *Sink) hashes() bool { return s.out.Limits.Hashed > 0 && s.size <= s.out.Limits.Hashed }

// cut notes why decompression ends before the content does.
func (s *Sink) cut(code string) {
	s.out.Anomaly(code)
	s.state = worse(s.state, event.Truncated)
}

// worse returns the state of what consists of two parts.
func worse(a, b event.State) event.State {
	for _, s := range [...]event.State{event.HasGap, event.Truncated, event.Complete} {
		if a == s || b == s {
			return s
		}
	}
	return ""
}
