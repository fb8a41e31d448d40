package event

// SMTP is a mail transaction: an envelope and, if it came to that, a message. What a session did before it, such as logging
// in, is part of it. A login that was refused is an event of its own, and so is a session, or what was left of it, that ended
// without a mail. Passwords are never kept.
type SMTP struct {
	Tx         uint64    `json:"tx" doc:"Number of the transaction in its connection, from 0"`
	Banner     string    `json:"banner,omitempty" doc:"Text of the server's greeting"`
	Helo       string    `json:"helo,omitempty" doc:"Name that the client gave itself"`
	Extensions []string  `json:"extensions,omitempty" doc:"Extensions that the server offered"`
	StartTLS   bool      `json:"starttls,omitempty" doc:"The connection was upgraded to TLS before"`
	Mechanism  string    `json:"auth_mechanism,omitempty" doc:"How the client logged in" example:"PLAIN"`
	User       string    `json:"user,omitempty" store:"sought" doc:"User that the client logged in as, or tried to"`
	Login      SMTPLogin `json:"login,omitempty" enum:"accepted,refused,unanswered" doc:"What came of the login"`
	MailFrom   string    `json:"mail_from,omitempty" store:"sought" doc:"Sender in the envelope; <> if it is empty"`
	RcptTo     []string  `json:"rcpt_to,omitempty" doc:"Recipients in the envelope"`
	Refused    []string  `json:"refused,omitempty" doc:"Recipients that the server refused, each with its reply"`
	Parameters []string  `json:"parameters,omitempty" doc:"Parameters of the MAIL command" example:"BODY=8BITMIME"`
	Commands   []string  `json:"commands,omitempty" doc:"Commands, each with the first line of its reply"`
	Code       uint16    `json:"code,omitempty" doc:"Code of the reply that decided; 0 if there was none"`
	Reply      string    `json:"reply,omitempty" store:"unique" doc:"Text of that reply"`
	DurationUS int64     `json:"duration_us,omitempty" doc:"From the first command to the last reply, microseconds"`
	State      State     `json:"state,omitempty" enum:"complete,truncated,gap" doc:"Whether all of it was seen"`
	Message    *Mail     `json:"message,omitempty" doc:"The message"`
}

// SMTPLogin says what came of a login.
type SMTPLogin string

const (
	LoginAccepted   SMTPLogin = "accepted"
	LoginRefused    SMTPLogin = "refused"
	LoginUnanswered SMTPLogin = "unanswered" // no verdict was seen
)

// Mail is a message as RFC 5322 and MIME have it. Its fields are decoded; Headers and Content are as they were sent.
type Mail struct {
	From        string   `json:"from,omitempty" store:"sought" doc:"Author"`
	To          []string `json:"to,omitempty" doc:"Recipients"`
	Cc          []string `json:"cc,omitempty" doc:"Recipients of copies"`
	ReplyTo     string   `json:"reply_to,omitempty" doc:"Where answers should go"`
	Subject     string   `json:"subject,omitempty" store:"unique,sought" doc:"Subject"`
	Date        string   `json:"date,omitempty" store:"unique" doc:"When it was written, as its author says"`
	ID          string   `json:"id,omitempty" store:"unique,sought" doc:"Message-ID, without angle brackets"`
	Attachments []string `json:"attachments,omitempty" doc:"Names of attached files"`
	Text        *Content `json:"text,omitempty" doc:"The parts that are text, decoded, one behind the other"`
	Headers     []string `json:"headers,omitempty" doc:"Header fields as name: value, in order, unfolded"`
	Content
}

// Kind implements Body.
func (*SMTP) Kind() Kind { return KindSMTP }
