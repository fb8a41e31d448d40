package front

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// maxHead bounds the head of a CONNECT request.
const maxHead = 16 << 10

// Connect returns the front end of an HTTP proxy that knows CONNECT alone (RFC 9110 §9.3.6). With users, clients need the name and
// password of one.
func Connect(users *Users) Front {
	return func(c net.Conn) (*Request, error) {
		br := bufio.NewReaderSize(io.LimitReader(c, maxHead), 2<<10)
		req, err := http.ReadRequest(br)
		if err != nil {
			_ = answer(c, http.StatusBadRequest, "")
			return nil, fmt.Errorf("read proxy request: %w", err)
		}
		switch {
		case req.Method != http.MethodConnect:
			_ = answer(c, http.StatusMethodNotAllowed, "Allow: CONNECT\r\n")
			return nil, errors.New("read proxy request: a method other than CONNECT")
		case req.ContentLength != 0 || len(req.TransferEncoding) > 0: // where its body ends is a matter of opinion
			_ = answer(c, http.StatusBadRequest, "")
			return nil, errors.New("read proxy request: CONNECT with a body")
		}
		if err := authenticate(c, users, req.Header.Get("Proxy-Authorization")); err != nil {
			return nil, err
		}
		host, port, err := splitHostPort(req.RequestURI)
		if err != nil {
			_ = answer(c, http.StatusBadRequest, "")
			return nil, fmt.Errorf("read proxy request: %w", err)
		}
		ahead, _ := br.Peek(br.Buffered()) // what is buffered is there
		return &Request{
			Host: host, Port: port, Ahead: bytes.Clone(ahead),
			Answer: func(o Outcome) error { return answer(c, connectStatus[o], "") },
		}, nil
	}
}

var connectStatus = [...]int{
	Connected: http.StatusOK, Forbidden: http.StatusForbidden, NoHost: http.StatusBadGateway, Unreachable: http.StatusBadGateway,
}

// authenticate tells a client that is not one of the users, if there are any.
func authenticate(c net.Conn, users *Users, header string) error {
	if users == nil {
		return nil
	}
	err := users.check(basic(header))
	switch err {
	case ErrAuthentication:
		_ = answer(c, http.StatusProxyAuthRequired, "Proxy-Authenticate: Basic realm=\"Vitrine gateway\"\r\n")
	case ErrBusy:
		_ = answer(c, http.StatusServiceUnavailable, "Retry-After: 5\r\n")
	}
	return err
}

// answer writes a response without a body; fields are whole lines.
func answer(c net.Conn, status int, fields string) error {
	text := http.StatusText(status)
	if status == http.StatusOK { // no length: what follows is the tunnel
		text = "Connection established"
	} else {
		fields += "Content-Length: 0\r\nConnection: close\r\n"
	}
	_, err := fmt.Fprintf(c, "HTTP/1.1 %d %s\r\n%s\r\n", status, text, fields)
	return err
}

// basic reads the name and password of Basic authentication (RFC 7617).
func basic(header string) (name, password string) {
	scheme, coded, _ := strings.Cut(header, " ")
	plain, err := base64.StdEncoding.DecodeString(coded)
	if !strings.EqualFold(scheme, "Basic") || err != nil {
		return "", ""
	}
	name, password, _ = strings.Cut(string(plain), ":")
	return name, password
}

// maxHost is the length of the longest host name.
const maxHost = 255

func splitHostPort(s string) (host string, port uint16, err error) {
	host, text, err := net.SplitHostPort(s)
	if err != nil || host == "" || len(host) > maxHost {
		return "", 0, errors.New("want host:port")
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return "", 0, errors.New("want host:port")
	}
	return host, uint16(n), nil
}
