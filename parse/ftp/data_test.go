package ftp

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
)

// session is a control connection and the data connection that it announces.
type session struct {
	control, data parse.Parser
	got           []string
}

func newSession() *session {
	s := &session{}
	s.control = Protocol.New(s.output(nil))
	return s
}

func (s *session) output(u *parse.Upgrade) parse.Output {
	return parse.Output{
		Emit: func(b event.Body) {
			switch b := b.(type) {
			case *event.FTPData:
				s.got = append(s.got, strings.TrimSpace(fmt.Sprintf("%s %s %d %s %t %s", b.Command, b.Path, b.Size, b.State, b.SHA256 != "", b.Mode)))
			case *event.File:
				s.got = append(s.got, fmt.Sprintf("file %s %d %s %t", b.Name, b.Size, b.State, b.SHA256 != ""))
			}
		},
		Anomaly: func(code string) { s.got = append(s.got, code) },
		Expect:  func(_ parse.Listener, _ string, u *parse.Upgrade) { s.data = Data.New(s.output(u)) },
		Become:  func(string, *parse.Upgrade) {},
		Seen:    func() time.Time { return time.Unix(0, 0) }, Exhausted: func() bool { return false },
		Limits: parse.DefaultLimits, Upgrade: u,
	}
}

// play follows a script: > and < are the control connection, = is content of the data connection, $ its end.
func (s *session) play(script string) {
	for line := range strings.SplitSeq(script, "\n") {
		text := []byte(line[1:] + "\r\n")
		switch line[0] {
		case '>':
			s.control.Parse(flow.ToServer, text)
		case '<':
			s.control.Parse(flow.ToClient, text)
		case '=':
			s.data.Parse(flow.ToClient, []byte(line[1:]))
		case '$':
			s.data.End()
		}
	}
	s.control.End()
}

func TestTransfers(t *testing.T) {
	const begin = ">TYPE I\n<200 ok\n>PASV\n<227 (10,0,0,1,4,1)\n"
	for name, tt := range map[string]struct {
		script string
		want   []string
	}{
		"whole":                    {begin + ">RETR /a/b\n<150 b (3 bytes)\n=abc\n$\n<226 ok", []string{"RETR /a/b 3 complete true passive", "file b 3 complete true"}},
		"content comes first":      {begin + ">RETR /a/b\n=abc\n<150 b (3 bytes)\n$\n<226 ok", []string{"RETR /a/b 3 complete true passive", "file b 3 complete true"}},
		"broken off":               {begin + ">RETR /a/b\n<150 b (9 bytes)\n=abc\n$\n<226 ok", []string{"RETR /a/b 3 truncated false passive", "file b 3 truncated false"}},
		"broken off, as told":      {begin + ">STOR /a/b\n<150 ok\n=abc\n<426 no\n$", []string{"STOR /a/b 3 truncated false passive", "file b 3 truncated false"}},
		"refused":                  {begin + ">RETR /a/b\n<550 no\n$", nil},
		"refused, tried again":     {begin + ">RETR /a/b\n<550 no\n>RETR /a/c\n<150 ok\n=abc\n$\n<226 ok", []string{"RETR /a/c 3 complete true passive", "file c 3 complete true"}},
		"empty":                    {begin + ">RETR /a/b\n<150 b (0 bytes)\n$\n<226 ok", []string{"RETR /a/b 0 complete true passive", "file b 0 complete true"}},
		"from the middle":          {begin + ">REST 2\n<350 ok\n>RETR /a/b\n<150 b (3 bytes)\n=c\n$\n<226 ok", []string{"RETR /a/b 1 complete true passive", "file b 1 truncated false"}},
		"behind what was there":    {begin + ">APPE /a/b\n<150 ok\n=abc\n$\n<226 ok", []string{"APPE /a/b 3 complete true passive", "file b 3 truncated false"}},
		"a list":                   {begin + ">LIST -al /a\n<150 ok\n=abc\n$\n<226 ok", []string{"LIST /a 3 complete true passive"}},
		"never asked for":          {begin + ">QUIT\n$\n<221 bye", nil},
		"as text":                  {">TYPE A\n<200 ok\n>PORT 10,0,0,2,4,1\n<200 ok\n>RETR /b\n<150 b (9 bytes)\n=abc\n$\n<226 ok", []string{"RETR /b 3 complete true active", "file b 3 complete true"}},
		"deflated":                 {">MODE Z\n<200 ok\n" + begin + ">RETR /b\n<150 b (5 bytes)\n=" + deflated("hello") + "\n$\n<226 ok", []string{"RETR /b 5 complete true passive", "file b 5 complete true"}},
		"a name of another system": {begin + ">STOR C:\\a\\b.txt\n<150 ok\n=abc\n$\n<226 ok", []string{"STOR  3 complete true passive", "file b.txt 3 complete true"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSession()
			s.play(tt.script)
			if diff := cmp.Diff(tt.want, s.got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// deflated is in one line.
func deflated(text string) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	w.Write([]byte(text))
	w.Close()
	return b.String()
}
