package eve

import (
	"strings"

	"github.com/vitrine-ndr/vitrine/event"
)

type smtpObject struct {
	Helo     string   `json:"helo,omitempty"`
	MailFrom string   `json:"mail_from,omitempty"`
	RcptTo   []string `json:"rcpt_to,omitempty"`
}

// emailObject is what Suricata has with the extended option and all fields that it can be told to write.
type emailObject struct {
	Status      string   `json:"status"`
	From        string   `json:"from,omitempty"`
	To          []string `json:"to,omitempty"`
	Cc          []string `json:"cc,omitempty"`
	ReplyTo     string   `json:"reply_to,omitempty"`
	Subject     string   `json:"subject,omitempty"`
	Date        string   `json:"date,omitempty"`
	MessageID   string   `json:"message_id,omitempty"`
	XMailer     string   `json:"x_mailer,omitempty"`
	UserAgent   string   `json:"user_agent,omitempty"`
	InReplyTo   string   `json:"in_reply_to,omitempty"`
	References  string   `json:"references,omitempty"`
	OriginIP    string   `json:"x_originating_ip,omitempty"`
	Received    []string `json:"received,omitempty"`
	Attachments []string `json:"attachment,omitempty"`
}

// smtpMore is what EVE has no name for.
type smtpMore struct {
	Banner     string          `json:"banner,omitempty"`
	StartTLS   bool            `json:"starttls,omitempty"`
	Mechanism  string          `json:"auth_mechanism,omitempty"`
	User       string          `json:"user,omitempty"`
	Login      event.SMTPLogin `json:"login,omitempty"`
	Refused    []string        `json:"refused,omitempty"`
	Commands   []string        `json:"commands,omitempty"`
	Code       uint16          `json:"code,omitempty"`
	Reply      string          `json:"reply,omitempty"`
	DurationUS int64           `json:"duration_us,omitempty"`
	State      event.State     `json:"state,omitempty"`
	Size       int64           `json:"message_size,omitempty"`
	SHA256     string          `json:"message_sha256,omitempty"`
	Text       string          `json:"text_printable,omitempty"`
}

func (e *Encoder) smtp(l *line, s *event.SMTP) {
	l.TxID = &s.Tx
	l.SMTP = &smtpObject{Helo: s.Helo, MailFrom: bracketed(s.MailFrom)}
	for _, r := range s.RcptTo {
		l.SMTP.RcptTo = append(l.SMTP.RcptTo, bracketed(r))
	}
	more := &smtpMore{
		Banner: s.Banner, StartTLS: s.StartTLS, Mechanism: s.Mechanism, User: s.User, Login: s.Login, Refused: s.Refused,
		Commands: s.Commands, Code: s.Code, Reply: s.Reply, DurationUS: s.DurationUS, State: s.State,
	}
	l.Vitrine.SMTP = more
	if m := s.Message; m != nil {
		l.Email = email(m)
		if more.Size, more.SHA256 = m.Size, m.SHA256; e.bodies && m.Text != nil {
			more.Text = printable(m.Text.Body)
		}
	}
}

// bracketed is how Suricata has addresses: as they were sent.
func bracketed(address string) string {
	if address == "" || address == "<>" {
		return address
	}
	return "<" + address + ">"
}

func email(m *event.Mail) *emailObject {
	o := &emailObject{
		Status: "PARSE_DONE", From: m.From, To: m.To, Cc: m.Cc, ReplyTo: m.ReplyTo, Subject: m.Subject, Date: m.Date,
		MessageID: bracketed(m.ID), Attachments: m.Attachments,
	}
	if m.State != event.Complete {
		o.Status = "BODY_STARTED"
	}
	for _, h := range headers(m.Headers) {
		switch strings.ToLower(h.Name) {
		case "received":
			o.Received = append(o.Received, h.Value)
		case "x-mailer":
			o.XMailer = h.Value
		case "user-agent":
			o.UserAgent = h.Value
		case "in-reply-to":
			o.InReplyTo = h.Value
		case "references":
			o.References = h.Value
		case "x-originating-ip":
			o.OriginIP = h.Value
		}
	}
	return o
}
