package front_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/vitrine-ndr/vitrine/source/gateway/front"
)

// scripted is a connection on which a client has said all that it will.
type scripted struct {
	net.Conn
	in  io.Reader
	out bytes.Buffer
}

func (s *scripted) Read(b []byte) (int, error)  { return s.in.Read(b) }
func (s *scripted) Write(b []byte) (int, error) { return s.out.Write(b) }

// onePer reads one byte a call.
type onePer struct{ r io.Reader }

func (o onePer) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	return o.r.Read(b[:1])
}

func users(t testing.TB) *front.Users {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("horse"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	u, err := front.ParseUsers([]byte("# staff\nann:" + string(hash) + "\n\n"))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func basic(pair string) string {
	return "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(pair)) + "\r\n"
}

func TestFronts(t *testing.T) {
	u := users(t)
	connect, closed := front.Connect(nil), front.Connect(u)
	socks, closedSocks := front.SOCKS5(nil), front.SOCKS5(u)
	for _, tt := range []struct {
		name       string
		front      front.Front
		in         string
		want       string // what the client is told, success included
		host       string // empty: refused
		port       uint16
		err, ahead string
	}{
		{"CONNECT", connect, "CONNECT shop.example:443 HTTP/1.1\r\nHost: x\r\n\r\nhello", "HTTP/1.1 200 Connection established\r\n\r\n", "shop.example", 443, "", "hello"},
		{"CONNECT to IPv6", connect, "CONNECT [2001:db8::1]:8443 HTTP/1.0\r\n\r\n", "HTTP/1.1 200 Connection established\r\n\r\n", "2001:db8::1", 8443, "", ""},
		{"GET", connect, "GET http://shop.example/ HTTP/1.1\r\nHost: shop.example\r\n\r\n", "HTTP/1.1 405 Method Not Allowed\r\nAllow: CONNECT\r\nContent-Length: 0\r\n", "", 0, "other than CONNECT", ""},
		{"CONNECT with a body", connect, "CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 400", "", 0, "with a body", ""},
		{"CONNECT in chunks", connect, "CONNECT a:1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 400", "", 0, "with a body", ""},
		{"CONNECT without a port", connect, "CONNECT shop.example HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400", "", 0, "want host:port", ""},
		{"CONNECT to port 0", connect, "CONNECT a:0 HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400", "", 0, "want host:port", ""},
		{"CONNECT to nobody", connect, "CONNECT :443 HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400", "", 0, "want host:port", ""},
		{"no HTTP", connect, "\x16\x03\x01\x02\x00\x01\n\n", "HTTP/1.1 400", "", 0, "read proxy request", ""},
		{"endless head", connect, "CONNECT a:1 HTTP/1.1\r\nX: " + strings.Repeat("x", 1<<20), "HTTP/1.1 400", "", 0, "read proxy request", ""},
		{"no password", closed, "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=", "", 0, "no valid name and password", ""},
		{"wrong password", closed, "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n" + basic("ann:donkey") + "\r\n", "HTTP/1.1 407", "", 0, "no valid name and password", ""},
		{"nobody's password", closed, "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n" + basic("eve:horse") + "\r\n", "HTTP/1.1 407", "", 0, "no valid name and password", ""},
		{"no Base64", closed, "CONNECT a:1 HTTP/1.1\r\nHost: a\r\nProxy-Authorization: Basic !!\r\n\r\n", "HTTP/1.1 407", "", 0, "no valid name and password", ""},
		{"password", closed, "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n" + basic("ann:horse") + "\r\n", "HTTP/1.1 200", "a", 1, "", ""},

		{"SOCKS name", socks, "\x05\x02\x02\x00" + "\x05\x01\x00\x03\x0cshop.example\x01\xbbhello", "\x05\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00", "shop.example", 443, "", "hello"},
		{"SOCKS IPv4", socks, "\x05\x01\x00" + "\x05\x01\x00\x01\xc0\x00\x02\x07\x00\x50", "\x05\x00\x05\x00", "192.0.2.7", 80, "", ""},
		{"SOCKS IPv6", socks, "\x05\x01\x00" + "\x05\x01\x00\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x50", "\x05\x00\x05\x00", "2001:db8::1", 80, "", ""},
		{"SOCKS 4", socks, "\x04\x01\x00\x50\xc0\x00\x02\x07\x00", "", "", 0, "not version 5", ""},
		{"SOCKS BIND", socks, "\x05\x01\x00" + "\x05\x02\x00\x01\xc0\x00\x02\x07\x00\x50", "\x05\x00\x05\x07", "", 0, "other than CONNECT", ""},
		{"SOCKS unknown address", socks, "\x05\x01\x00" + "\x05\x01\x00\x02\x00\x50", "\x05\x00\x05\x08", "", 0, "no address", ""},
		{"SOCKS empty name", socks, "\x05\x01\x00" + "\x05\x01\x00\x03\x00\x00\x50", "\x05\x00\x05\x08", "", 0, "no address", ""},
		{"SOCKS cut", socks, "\x05\x01\x00" + "\x05\x01\x00\x03\x0cshop", "\x05\x00", "", 0, "unexpected EOF", ""},
		{"SOCKS without a method", closedSocks, "\x05\x01\x00", "\x05\xff", "", 0, "no valid name and password", ""},
		{"SOCKS password", closedSocks, "\x05\x01\x02\x01\x03ann\x05horse\x05\x01\x00\x03\x01a\x00\x50", "\x05\x02\x01\x00\x05\x00", "a", 80, "", ""},
		{"SOCKS wrong password", closedSocks, "\x05\x01\x02\x01\x03ann\x05house", "\x05\x02\x01\x01", "", 0, "no valid name and password", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, in := range []io.Reader{strings.NewReader(tt.in), onePer{strings.NewReader(tt.in)}} {
				c := &scripted{in: in}
				req, err := tt.front(c)
				if tt.host == "" {
					if err == nil || !strings.Contains(err.Error(), tt.err) {
						t.Errorf("got error %v, want %q", err, tt.err)
					}
				} else if err != nil {
					t.Fatal(err)
				} else {
					if err := req.Answer(front.Connected); err != nil || req.Host != tt.host || req.Port != tt.port {
						t.Errorf("wants %s port %d, %v", req.Host, req.Port, err)
					}
					if rest, err := io.ReadAll(io.MultiReader(bytes.NewReader(req.Ahead), c)); err != nil || string(rest) != tt.ahead {
						t.Errorf("%q follows, %v; want %q", rest, err, tt.ahead)
					}
				}
				if !strings.HasPrefix(c.out.String(), tt.want) || tt.want == "" && c.out.Len() > 0 {
					t.Errorf("the client is told %q, want %q", c.out.String(), tt.want)
				}
			}
		})
	}
}

func TestOutcomes(t *testing.T) {
	for o, want := range map[front.Outcome][2]string{
		front.Forbidden: {"HTTP/1.1 403 Forbidden\r\n", "\x05\x02"}, front.NoHost: {"HTTP/1.1 502 Bad Gateway\r\n", "\x05\x04"}, front.Unreachable: {"HTTP/1.1 502 Bad Gateway\r\n", "\x05\x05"},
	} {
		for i, in := range []string{"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "\x05\x01\x00\x05\x01\x00\x03\x01a\x00\x50"} {
			c := &scripted{in: strings.NewReader(in)}
			req, err := []front.Front{front.Connect(nil), front.SOCKS5(nil)}[i](c)
			if err != nil {
				t.Fatal(err)
			}
			c.out.Reset()
			if err := req.Answer(o); err != nil || !strings.HasPrefix(c.out.String(), want[i]) {
				t.Errorf("outcome %d: told %q, %v", o, c.out.String(), err)
			}
		}
	}
}

func TestUsersFile(t *testing.T) {
	for text, want := range map[string]string{
		"":              "no users",
		"ann":           "line 1: want name:hash",
		"\nann:{SHA}x":  "line 2: want name:hash",
		"ann:$apr1$a$b": `the hash of "htpasswd -B"`,
	} {
		if _, err := front.ParseUsers([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got error %v, want %q", text, err, want)
		}
	}
}

// TestRightPasswordsAreRemembered checks that a client pays for hashing once, and who guesses each time.
func TestRightPasswordsAreRemembered(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("horse"), 10)
	if err != nil {
		t.Fatal(err)
	}
	u, err := front.ParseUsers([]byte("ann:" + string(hash)))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(pair string) (took time.Duration, err error) {
		start := time.Now()
		_, err = front.Connect(u)(&scripted{in: strings.NewReader("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n" + basic(pair) + "\r\n")})
		return time.Since(start), err
	}
	first, err1 := ask("ann:horse")
	second, err2 := ask("ann:horse")
	if err1 != nil || err2 != nil || second > first/2 {
		t.Errorf("took %s, %v, then %s, %v", first, err1, second, err2)
	}
	for _, pair := range []string{"annh:orse", "ann:hors", "nobody:horse"} {
		if took, err := ask(pair); !errors.Is(err, front.ErrAuthentication) || took < first/4 {
			t.Errorf("%s: %v after %s", pair, err, took)
		}
	}
}

// TestGuessersDoNotQueue has many clients guess at once. A client that is known comes through, and few of the others have to wait.
func TestGuessersDoNotQueue(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("horse"), 8)
	if err != nil {
		t.Fatal(err)
	}
	u, err := front.ParseUsers([]byte("ann:" + string(hash)))
	if err != nil {
		t.Fatal(err)
	}
	fronts := []func(pair string) (said string, err error){
		func(pair string) (string, error) {
			c := &scripted{in: strings.NewReader("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n" + basic(pair) + "\r\n")}
			_, err := front.Connect(u)(c)
			return c.out.String(), err
		},
		func(pair string) (string, error) {
			name, password, _ := strings.Cut(pair, ":")
			c := &scripted{in: strings.NewReader(fmt.Sprintf("\x05\x01\x02\x01%c%s%c%s\x05\x01\x00\x03\x01a\x00\x50", len(name), name, len(password), password))}
			_, err := front.SOCKS5(u)(c)
			return c.out.String(), err
		},
	}
	if _, err := fronts[0]("ann:horse"); err != nil {
		t.Fatal(err)
	}
	refused := []string{"HTTP/1.1 503 Service Unavailable\r\n", "\x05\x02\x01\x01"}
	var all sync.WaitGroup
	var busy atomic.Int32
	for i := range 300 {
		all.Go(func() {
			said, err := fronts[i%2](fmt.Sprintf("ann:%d", i))
			switch {
			case errors.Is(err, front.ErrBusy):
				busy.Add(1)
				if !strings.HasPrefix(said, refused[i%2]) {
					t.Errorf("told %q, want %q", said, refused[i%2])
				}
			case !errors.Is(err, front.ErrAuthentication):
				t.Error(err)
			}
		})
	}
	for i := range fronts {
		if _, err := fronts[i]("ann:horse"); err != nil {
			t.Error(err)
		}
	}
	all.Wait()
	if n := busy.Load(); n < 150 || n > 299 {
		t.Errorf("%d of 300 are refused unheard, want all but some 65", n)
	}
}

func fuzzFront(f *testing.F, under front.Front, seeds ...string) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c := &scripted{in: bytes.NewReader(b)}
		req, err := under(c)
		if err == nil && (req.Host == "" || req.Port == 0) {
			t.Errorf("accepted %q port %d", req.Host, req.Port)
		}
		if c.out.Len() > 4096 {
			t.Errorf("%d bytes of answer", c.out.Len())
		}
	})
}

func FuzzConnect(f *testing.F) {
	fuzzFront(f, front.Connect(nil), "CONNECT shop.example:443 HTTP/1.1\r\nHost: x\r\n\r\nhello", "GET / HTTP/1.1\r\n\r\n")
}

func FuzzSOCKS5(f *testing.F) {
	fuzzFront(f, front.SOCKS5(users(f)), "\x05\x01\x02\x01\x03ann\x05horse\x05\x01\x00\x03\x01a\x00\x50", "\x05\x01\x00")
}
