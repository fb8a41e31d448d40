package bus

import (
	"math"

	"github.com/vitrine-ndr/vitrine/event"
)

// sizes bound what can be large in a record, in bytes: each of its bodies and each of its lists of headers.
type sizes struct{ body, headers int }

// shrinking returns what a record is cut down to, one step after the other, until it fits into a message of some bytes: first
// bodies, since their sizes and hashes stay, then headers.
func shrinking(room int) [4]sizes {
	return [4]sizes{{math.MaxInt, math.MaxInt}, {room / 4, math.MaxInt}, {0, math.MaxInt}, {0, room / 64}}
}

// shrink returns the record with nothing in it that is larger than most, and marked where something is missing. The record
// itself, which others may hold, stays as it is.
func shrink(r *event.Record, most sizes) *event.Record {
	if most.body == math.MaxInt && most.headers == math.MaxInt {
		return r
	}
	out := *r
	if r.HTTP != nil {
		h := *r.HTTP
		var cutRequest, cutResponse bool
		h.Request, cutRequest = shrinkMessage(h.Request, most)
		h.Response, cutResponse = shrinkMessage(h.Response, most)
		if (cutRequest || cutResponse) && h.State != event.HasGap {
			h.State = event.Truncated
		}
		out.HTTP = &h
	}
	if r.WebSocket != nil {
		w := *r.WebSocket
		shrinkContent(&w.Content, most.body)
		out.WebSocket = &w
	}
	if r.SMTP != nil {
		out.SMTP = shrinkSMTP(r.SMTP, most)
	}
	if r.Unknown != nil { // it never has more than the first bytes
		u := *r.Unknown
		u.ToServer, u.ToClient = u.ToServer[:min(len(u.ToServer), most.body)], u.ToClient[:min(len(u.ToClient), most.body)]
		out.Unknown = &u
	}
	return &out
}

// shrinkMessage also tells whether headers are missing.
func shrinkMessage(m *event.Message, most sizes) (out *event.Message, cut bool) {
	if m == nil {
		return nil, false
	}
	c := *m
	c.Headers, c.Trailers = shrinkList(m.Headers, most.headers), shrinkList(m.Trailers, most.headers)
	shrinkContent(&c.Content, most.body)
	return &c, len(c.Headers) < len(m.Headers) || len(c.Trailers) < len(m.Trailers)
}

// shrinkSMTP also cuts the lists of an envelope, which are as long as its sender wants.
func shrinkSMTP(s *event.SMTP, most sizes) *event.SMTP {
	c := *s
	cut := false
	shrinkLists := func(lists ...*[]string) {
		for _, l := range lists {
			out := shrinkList(*l, most.headers)
			cut = cut || len(out) < len(*l)
			*l = out
		}
	}
	shrinkLists(&c.Extensions, &c.RcptTo, &c.Refused, &c.Parameters, &c.Commands)
	if s.Message != nil {
		m := *s.Message
		shrinkLists(&m.To, &m.Cc, &m.Attachments, &m.Headers)
		shrinkContent(&m.Content, most.body)
		if m.Text != nil {
			text := *m.Text
			shrinkContent(&text, most.body)
			m.Text = &text
		}
		c.Message = &m
	}
	if cut && c.State != event.HasGap {
		c.State = event.Truncated
	}
	return &c
}

func shrinkContent(c *event.Content, most int) {
	if len(c.Body) > most {
		c.Body, c.Truncated = c.Body[:most], true
	}
}

// shrinkList keeps those lines, in order, that find room.
func shrinkList(lines []string, room int) []string {
	var out []string
	for _, l := range lines {
		if len(l) <= room {
			out = append(out, l)
			room -= len(l)
		}
	}
	return out
}
