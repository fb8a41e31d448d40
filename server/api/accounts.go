package api

import "time"

// User is an account.
type User struct {
	Name string `json:"name" doc:"Account name"`
	Role string `json:"role" enum:"admin,analyst,viewer" doc:"What it may do"`
}

// SignIn is what a person signs in with.
type SignIn struct {
	Username string `json:"username" minLength:"1" maxLength:"128" doc:"Account name"`
	Password string `json:"password" minLength:"1" maxLength:"1024" doc:"Password"`
}

// Session is the signed-in account.
type Session struct {
	User        User     `json:"user" doc:"The account"`
	Permissions []string `json:"permissions" doc:"What it may do, verb by verb" example:"[\"search\",\"content\"]"`
	Version     string   `json:"version" doc:"Version of the server"`
}

// PasswordChange replaces one's own password. All other sessions of the account end.
type PasswordChange struct {
	Old string `json:"old" minLength:"1" maxLength:"1024" doc:"Present password"`
	New string `json:"new" minLength:"12" maxLength:"1024" doc:"New password"`
}

// NewUser makes an account.
type NewUser struct {
	Name     string `json:"name" minLength:"1" maxLength:"128" pattern:"^[A-Za-z0-9][A-Za-z0-9._@-]*$" doc:"Account name"`
	Role     string `json:"role" enum:"admin,analyst,viewer" doc:"What it may do"`
	Password string `json:"password" minLength:"12" maxLength:"1024" doc:"First password"`
}

// Users are all accounts.
type Users struct {
	Users []User `json:"users" doc:"Accounts, by name"`
}

// NewToken makes an API token.
type NewToken struct {
	Name    string     `json:"name" minLength:"1" maxLength:"64" pattern:"^[A-Za-z0-9][A-Za-z0-9._@-]*$" doc:"Name, for the audit trail"`
	Role    string     `json:"role" enum:"admin,analyst,viewer" doc:"What it may do: at most what its maker may"`
	Expires *time.Time `json:"expires,omitempty" doc:"When it ends; it never does if this is missing"`
}

// Token is an API token without its secret.
type Token struct {
	ID       string     `json:"id" doc:"Id, the part of the token that may be shown"`
	Name     string     `json:"name" doc:"Name"`
	Role     string     `json:"role" enum:"admin,analyst,viewer" doc:"What it may do"`
	Owner    string     `json:"owner,omitempty" doc:"Account that it ends with; missing for those of the command line on the server's machine"`
	Created  time.Time  `json:"created" doc:"When it was made"`
	Expires  *time.Time `json:"expires,omitempty" doc:"When it ends; missing if never"`
	LastUsed *time.Time `json:"last_used,omitempty" doc:"When it was used last, to the minute; missing if never"`
}

// IssuedToken is a new token with its secret, which the server does not keep.
type IssuedToken struct {
	Token  Token  `json:"token" doc:"The token"`
	Secret string `json:"secret" doc:"What a program sends as bearer token; it is shown this once"`
}

// Tokens are the API tokens that the caller deals with.
type Tokens struct {
	Tokens []Token `json:"tokens" doc:"Tokens, by name"`
}

// AuditEntry is one thing that somebody did.
type AuditEntry struct {
	Time    time.Time `json:"time" doc:"When"`
	Actor   string    `json:"actor" doc:"Account or token that did it; empty where nobody was signed in"`
	Address string    `json:"address" doc:"Network address that it came from"`
	Action  string    `json:"action" doc:"What was done" example:"content.view"`
	Target  string    `json:"target,omitempty" doc:"What it was done to"`
	Outcome string    `json:"outcome" enum:"ok,denied,failed" doc:"How it ended"`
}

// Audit is the newest part of the audit trail.
type Audit struct {
	Entries []AuditEntry `json:"entries" doc:"The newest first"`
}
