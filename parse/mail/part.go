package mail

import (
	"strings"

	"golang.org/x/text/transform"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/parse/content"
)

// leaf is a part that has no parts itself.
type leaf struct {
	name    string
	sink    *content.Sink     // that of the message's text, or of a file
	utf8    *transform.Writer // nil if the part is not text in another charset
	decoder decoder
	plain   func(b []byte) // takes what is decoded
}

// decoder undoes a Content-Transfer-Encoding; nil where there is none.
type decoder interface {
	// decode hands what b stands for to f, as far as that is known by now. The bytes are valid until f returns.
	decode(b []byte, f func(plain []byte))
	// end hands on the rest and tells whether there was something that should not have been.
	end(f func(plain []byte)) (bad bool)
}

// part is what the header of a part says.
type part struct {
	media, charset, boundary, encoding, name string
	attached                                 bool
}

func (m *Message) describePart(fields []string) part {
	kind, _ := content.Header(fields, "content-type")
	disposition, _ := content.Header(fields, "content-disposition")
	how, _ := content.Header(fields, "content-transfer-encoding")
	media, ps := parameters(kind)
	disposition, ds := parameters(disposition)
	encoding, _ := parameters(how)
	p := part{media: media, charset: ps["charset"], boundary: strings.TrimRight(ps["boundary"], " \t"), encoding: encoding, attached: disposition == "attachment"}
	if p.name = extended(ds, "filename"); p.name == "" {
		p.name = extended(ps, "name")
	}
	p.name = baseName(p.name)
	if n := len(m.levels); p.media == "" && n > 0 && m.levels[n-1].digest {
		p.media = mediaMessage
	}
	return p
}

// baseName drops folders: a sender that names some wants the file elsewhere than its recipient does.
func baseName(name string) string { return name[strings.LastIndexAny(name, `/\`)+1:] }

// open begins what a header announces: parts, a message inside, text, or a file.
func (m *Message) open(fields []string) {
	p := m.describePart(fields)
	m.fresh = true
	if m.parts++; m.parts > m.out.Limits.Open {
		m.note(tooManyParts)
		return
	}
	multi, message := strings.HasPrefix(p.media, "multipart/"), p.media == mediaMessage || p.media == "message/global"
	if (multi || message) && len(m.levels)+len(m.copies) >= maxDepth {
		m.note(tooDeep)
		multi, message = false, false
	}
	if multi && (p.boundary == "" || len(p.boundary) > maxBoundary) {
		m.note(badBoundary)
		multi = false
	}
	switch {
	case multi:
		m.levels = append(m.levels, level{p.boundary, p.media == "multipart/digest"})
	case message && p.encoding != "base64" && p.encoding != "quoted-printable": // RFC 2046 section 5.2.1 allows neither
		m.copies = append(m.copies, copied{len(m.levels), p.name, content.New(m.out, "")})
		m.header.reset()
		m.fields = true
	case (p.media == "" || strings.HasPrefix(p.media, "text/")) && !p.attached && p.name == "":
		m.openText(p)
	default:
		sink := content.New(m.out, "")
		m.leaf = &leaf{name: p.name, sink: sink, decoder: m.decoder(p.encoding), plain: sink.Write}
	}
}

// openText begins a part that is text. All such parts are kept as one, in UTF-8.
func (m *Message) openText(p part) {
	if m.text == nil {
		m.text = content.New(m.out, "")
		if m.lost {
			m.text.Gap(0)
		}
	} else {
		m.text.Write([]byte("\n"))
	}
	m.leaf = &leaf{sink: m.text, decoder: m.decoder(p.encoding), plain: m.text.Write}
	if d := charsetDecoder(p.charset); d != nil {
		w := transform.NewWriter(writer{m.text}, d)
		m.leaf.utf8, m.leaf.plain = w, func(b []byte) { _, _ = w.Write(b) } // neither its Sink nor a charset's decoder fails
	}
}

// writer makes a Sink an io.Writer.
type writer struct{ sink *content.Sink }

func (w writer) Write(b []byte) (int, error) {
	w.sink.Write(b)
	return len(b), nil
}

func (m *Message) decoder(encoding string) decoder {
	switch encoding {
	case "base64":
		return new(base64Decoder)
	case "quoted-printable":
		return new(quotedDecoder)
	case "", "7bit", "8bit", "binary":
	default:
		m.note(unknownEncoding)
	}
	return nil
}

// write takes the next bytes of the part, as transferred.
func (l *leaf) write(b []byte) {
	if l.decoder == nil {
		l.plain(b)
	} else {
		l.decoder.decode(b, l.plain)
	}
}

// endLeaf ends the part at hand.
func (m *Message) endLeaf(state event.State) {
	l := m.leaf
	if m.leaf = nil; l == nil {
		return
	}
	if l.decoder != nil && l.decoder.end(l.plain) {
		m.note(badBase64)
	}
	if l.utf8 != nil {
		_ = l.utf8.Close() // nor does this
	}
	if l.sink != m.text {
		m.file(l.name, "", l.sink, state)
	}
}

// file adds what a Sink has got to the files. The media type is found out if it is empty.
func (m *Message) file(name, media string, sink *content.Sink, state event.State) {
	c := sink.Finish(state)
	sink.Release()
	if media == "" {
		media = c.Type
	}
	if !m.keep(len(name)) {
		m.note(headerTooLarge)
		name = ""
	}
	if name != "" {
		m.mail.Attachments = append(m.mail.Attachments, name)
	}
	m.files = append(m.files, event.File{Name: name, Type: media, Size: c.Size, SHA256: c.SHA256, State: c.State})
}
