package parsetest

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/tools/txtar"

	"github.com/vitrine-ndr/vitrine/flow"
)

// wantFile is the name of the file with the events.
const wantFile = "want"

// Step is one segment, datagram or gap of a conversation.
type Step struct {
	Dir   flow.Direction
	Data  []byte
	Gap   int  // bytes that are missing, 0 if unknown; valid iff IsGap
	IsGap bool // there is no Data
	At    int  // milliseconds since the start of the conversation
}

type playbook struct {
	Steps []Step
	Want  []string

	file    string
	archive *txtar.Archive
}

func readPlaybook(file string) (*playbook, error) {
	a, err := txtar.ParseFile(file)
	if err != nil {
		return nil, fmt.Errorf("read playbook: %w", err)
	}
	b := &playbook{file: file, archive: a}
	for i, line := range strings.Split(string(a.Comment), "\n") {
		if err := b.step(line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, i+1, err)
		}
	}
	for i := range b.Steps {
		b.Steps[i].At = i
	}
	for line := range strings.Lines(string(b.content(wantFile))) {
		b.Want = append(b.Want, strings.TrimSuffix(line, "\n"))
	}
	return b, nil
}

// format returns the archive with the events that are wanted now.
func (b *playbook) format() []byte {
	var want bytes.Buffer
	for _, line := range b.Want {
		fmt.Fprintln(&want, line)
	}
	for i := range b.archive.Files {
		if b.archive.Files[i].Name == wantFile {
			b.archive.Files[i].Data = want.Bytes()
			return txtar.Format(b.archive)
		}
	}
	b.archive.Files = append(b.archive.Files, txtar.File{Name: wantFile, Data: want.Bytes()})
	return txtar.Format(b.archive)
}

func (b *playbook) content(name string) []byte {
	for _, f := range b.archive.Files {
		if f.Name == name {
			return f.Data
		}
	}
	return nil
}

// step reads one line of the script.
func (b *playbook) step(line string) error {
	if line == "" || line[0] == '#' {
		return nil
	}
	verb, arg, _ := strings.Cut(line, " ")
	if verb == "gap" {
		return b.gap(arg)
	}
	data, err := b.data(verb[1:], arg)
	if err != nil {
		return err
	}
	switch verb[0] {
	case '>':
		b.Steps = append(b.Steps, Step{Dir: flow.ToServer, Data: data})
	case '<':
		b.Steps = append(b.Steps, Step{Dir: flow.ToClient, Data: data})
	case '+':
		if len(b.Steps) == 0 || b.Steps[len(b.Steps)-1].IsGap {
			return fmt.Errorf("there is no segment to add to")
		}
		last := &b.Steps[len(b.Steps)-1]
		last.Data = append(last.Data, data...)
	default:
		return fmt.Errorf("unknown step %q", line)
	}
	return nil
}

func (b *playbook) gap(arg string) error {
	way, count, _ := strings.Cut(arg, " ")
	n, err := strconv.Atoi(count)
	if err != nil {
		return fmt.Errorf("read gap: %w", err)
	}
	switch way {
	case ">":
		b.Steps = append(b.Steps, Step{Dir: flow.ToServer, Gap: n, IsGap: true})
	case "<":
		b.Steps = append(b.Steps, Step{Dir: flow.ToClient, Gap: n, IsGap: true})
	default:
		return fmt.Errorf("read gap: no direction %q", way)
	}
	return nil
}

func (b *playbook) data(form, arg string) ([]byte, error) {
	switch form {
	case "":
		return unescape(arg)
	case "hex":
		return hex.DecodeString(strings.ReplaceAll(arg, " ", ""))
	case "repeat":
		count, text, _ := strings.Cut(arg, " ")
		n, err := strconv.Atoi(count)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("read repeat count %q: %w", count, err)
		}
		data, err := unescape(text)
		return bytes.Repeat(data, n), err
	case "file":
		data := b.content(arg)
		if data == nil {
			return nil, fmt.Errorf("there is no file %q in the archive", arg)
		}
		return bytes.Clone(data), nil
	}
	return nil, fmt.Errorf("unknown form %q", form)
}

// unescape undoes the escapes of Go's string literals; quotes stand for themselves.
func unescape(s string) ([]byte, error) {
	out := make([]byte, 0, len(s))
	for s != "" {
		r, multibyte, rest, err := strconv.UnquoteChar(s, 0)
		if err != nil {
			return nil, fmt.Errorf("undo escapes of %q: %w", s, err)
		}
		if multibyte {
			out = utf8.AppendRune(out, r)
		} else {
			out = append(out, byte(r))
		}
		s = rest
	}
	return out, nil
}
