// Package pin learns which servers have clients that accept only certificates of their own choice, so that the gateway does not stand
// in front of those. What clients did with its certificates comes in; whether a client's next connection should be handed on as it is
// goes out, and lists for people, who may decide otherwise. A client that refuses everything merely lacks the gateway's root: it is
// told apart. The package is pure: the clock is handed in, and it knows nothing of connections, policies and files.
package pin

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Config is what a Table goes by. The zero value has the defaults.
type Config struct {
	// Time is how long what was learnt holds; then clients must show again that it still does.
	Time time.Duration
	// Clients is how many of them must agree before a server is taken for pinned by all.
	Clients int
	// Approval has nothing bypassed before a person has approved.
	Approval bool
}

// Defaults of Config.
const (
	DefaultTime    = 12 * time.Hour
	DefaultClients = 3
)

// What it takes to learn. One refusal may be a mistake, and an end without a word is as a rule no refusal at all: browsers connect in
// advance, monitors merely knock.
const (
	enough   = 4                  // evidence: two refusals, or four ends without a word
	window   = time.Hour          // older evidence does not count
	trusting = 7 * 24 * time.Hour // who accepted a certificate has the root for so long
	lacking  = 5                  // servers in a row that who once accepted may refuse, until it looks as if it had lost the root
	settling = 10 * time.Minute   // who has accepted nothing yet must be known for so long to be believed about one server
)

// Bounds. One client alone cannot displace what others have shown, but for who can take any number of addresses.
const (
	maxServers  = 4096 // without a person's decision; beyond it, those that were refused longest ago are forgotten
	maxDecided  = 4096
	maxAccepted = 8192
	maxClients  = 8192
	maxRefusing = 16 // clients of a server
	maxRefused  = 64 // servers of a client
	maxName     = 255
)

// Evidence is what a client did with a certificate of the gateway's.
type Evidence int

const (
	Closed  Evidence = 1 // it ended the connection at once and without a word
	Refused Evidence = 2 // it said that it does not accept it
)

// Server is whom a client asked for: the name, or, if it named nobody, the address alone.
type Server struct {
	Name    string
	Address netip.AddrPort
}

// normal returns the server with its name in the form in which it is compared.
func (s Server) normal() Server {
	s.Name = strings.TrimSuffix(strings.ToLower(s.Name), ".")
	return s
}

// id is the same for the same server, whenever and wherever it is learnt.
func (s Server) id() string {
	text := s.Name
	if text == "" {
		text = s.Address.String()
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// Table is what was learnt. It is safe for concurrent use.
type Table struct {
	cfg Config

	mu       sync.Mutex
	revision uint64
	decided  map[string]*entry          // by a person
	servers  *recent[string, *entry]    // all others
	accepted *recent[string, time.Time] // when a client took the gateway's certificate for a server last
	clients  *recent[netip.Addr, *client]
}

// New returns an empty Table.
func New(cfg Config) *Table {
	if cfg.Time <= 0 {
		cfg.Time = DefaultTime
	}
	if cfg.Clients <= 0 {
		cfg.Clients = DefaultClients
	}
	t := &Table{cfg: cfg, decided: map[string]*entry{}}
	t.accepted = newRecent[string](maxAccepted, func(time.Time) {})
	t.servers, t.clients = newRecent[string](maxServers, t.unlink), newRecent[netip.Addr](maxClients, t.leave)
	return t
}

// entry is what is known of one server.
type entry struct {
	Server
	id          string
	state       State // Approved or Rejected; empty while the evidence decides
	reason      Reason
	count       int
	first, last time.Time
	until       time.Time // until then, all take it for pinned
	refusing    []refusal // at most maxRefusing, one a client
}

// refusal is what one client has shown of one server.
type refusal struct {
	client   netip.Addr
	evidence Evidence
	last     time.Time
	until    time.Time // until then, this client takes it for pinned
}

// client is what is known of one client.
type client struct {
	address     netip.Addr
	first, last time.Time
	count       int       // of refusals in words
	accepted    [2]string // ids of servers, the latest first
	trusted     time.Time // when that was
	refused     []refused // at most maxRefused, the latest last
}

type refused struct {
	server *entry
	last   time.Time
}

// Pinned tells whether the client's connection to the server should be handed on as it is.
func (t *Table) Pinned(from netip.Addr, to Server, now time.Time) bool {
	id := to.normal().id()
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.decided[id]; e != nil {
		return e.state == Approved
	}
	e, ok := t.servers.get(id)
	if !ok || t.cfg.Approval {
		return false
	}
	i := e.find(from)
	return now.Before(e.until) || i >= 0 && now.Before(e.refusing[i].until)
}

// Approved tells whether a person has approved that the server is bypassed.
func (t *Table) Approved(s Server) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.decided[s.normal().id()]
	return e != nil && e.state == Approved
}

// Accept notes that the client has used a connection under the gateway's certificate.
func (t *Table) Accept(from netip.Addr, to Server, now time.Time) {
	id := to.normal().id()
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.client(from, now)
	c.trusted = now
	if c.accepted[0] != id {
		c.accepted = [2]string{id, c.accepted[0]}
	}
	t.accepted.put(id, now)
	if e, ok := t.servers.get(id); ok {
		e.until = time.Time{}
		t.withdraw(c, e)
	}
}

// Refuse notes that the client has not accepted the gateway's certificate for the server, whose own is good.
func (t *Table) Refuse(from netip.Addr, to Server, what Evidence, now time.Time) {
	to = to.normal()
	if len(to.Name) > maxName {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	c, e := t.client(from, now), t.entry(to, now)
	e.Address, e.last = to.Address, now
	e.count++
	if e.reason = byClosing; what == Refused {
		e.reason = inWords
		c.count++
	}
	t.note(c, e, what, now)
	t.learn(c, e, now)
}

// client returns what is known of a client.
func (t *Table) client(address netip.Addr, now time.Time) *client {
	c, ok := t.clients.get(address)
	if !ok {
		c = &client{address: address, first: now}
		t.clients.put(address, c)
	}
	c.last = now
	return c
}

// entry returns what is known of a server.
func (t *Table) entry(s Server, now time.Time) *entry {
	id := s.id()
	if e := t.decided[id]; e != nil {
		return e
	}
	e, ok := t.servers.get(id)
	if !ok {
		e = &entry{Server: s, id: id, first: now}
		t.servers.put(id, e)
	}
	return e
}

// note adds evidence to what the client has shown of the server.
func (t *Table) note(c *client, e *entry, what Evidence, now time.Time) {
	i := e.find(c.address)
	if i < 0 {
		if len(e.refusing) == maxRefusing {
			t.withdraw(t.peek(e.oldest().client), e)
		}
		e.refusing = append(e.refusing, refusal{client: c.address})
		i = len(e.refusing) - 1
	}
	r := &e.refusing[i]
	if now.Sub(r.last) > window {
		r.evidence = 0
	}
	r.evidence, r.last = min(r.evidence+what, enough), now
	c.refused = slices.DeleteFunc(c.refused, func(r refused) bool { return r.server == e })
	if len(c.refused) == maxRefused {
		t.withdraw(c, c.refused[0].server)
	}
	c.refused = append(c.refused, refused{e, now})
}

// peek returns a client that refuses some server: none of those is forgotten without its refusals.
func (t *Table) peek(address netip.Addr) *client {
	c, _ := t.clients.peek(address)
	return c
}

func (e *entry) find(client netip.Addr) int {
	return slices.IndexFunc(e.refusing, func(r refusal) bool { return r.client == client })
}

// oldest returns the refusal that was the latest to be repeated longest ago.
func (e *entry) oldest() refusal {
	return slices.MinFunc(e.refusing, func(a, b refusal) int { return a.last.Compare(b.last) })
}

// withdraw forgets what the client has shown of the server, and the server, if nothing is left.
func (t *Table) withdraw(c *client, e *entry) {
	c.refused = slices.DeleteFunc(c.refused, func(r refused) bool { return r.server == e })
	e.refusing = slices.DeleteFunc(e.refusing, func(r refusal) bool { return r.client == c.address })
	if len(e.refusing) == 0 && e.state == "" {
		t.servers.remove(e.id)
	}
}

// unlink is for a server that is forgotten: its clients forget it too.
func (t *Table) unlink(e *entry) {
	for _, r := range e.refusing {
		c := t.peek(r.client)
		c.refused = slices.DeleteFunc(c.refused, func(r refused) bool { return r.server == e })
	}
}

// leave is for a client that is forgotten: so is what it refused.
func (t *Table) leave(c *client) {
	for len(c.refused) > 0 {
		t.withdraw(c, c.refused[0].server)
	}
}
