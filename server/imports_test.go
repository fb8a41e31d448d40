package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/server/imports"
)

type uploaded struct{ part, name, content string }

// upload sends files as the console does.
func (c *client) upload(files ...uploaded) answer {
	c.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for _, f := range files {
		w, err := form.CreatePart(textproto.MIMEHeader{"Content-Disposition": {fmt.Sprintf(`form-data; name=%q; filename=%q`, f.part, f.name)}})
		must(c.t, err)
		_, err = w.Write([]byte(f.content))
		must(c.t, err)
	}
	must(c.t, form.Close())
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.url+"/api/v1/imports", &body)
	must(c.t, err)
	req.Header.Set("Content-Type", form.FormDataContentType())
	return c.send(req)
}

// accepted returns the id of an upload that must be taken.
func (c *client) accepted(files ...uploaded) string {
	c.t.Helper()
	a := c.upload(files...)
	if a.status != http.StatusAccepted {
		c.t.Fatalf("upload: %d %s", a.status, a.body)
	}
	_, rest, _ := strings.Cut(a.body, `"id":"`)
	return rest[:32]
}

// ended waits until an import is over.
func (c *client) ended(id string) api.Import {
	c.t.Helper()
	for range 500 {
		in := get[api.Import](c, "/api/v1/imports/"+id)
		if in.Finished != nil {
			in.Started, in.Finished = time.Time{}, nil
			return in
		}
		time.Sleep(10 * time.Millisecond)
	}
	c.t.Fatalf("import %s does not end", id)
	return api.Import{}
}

func TestImportReplaysWhatWasUploaded(t *testing.T) {
	var got []string
	s := open(t, func(_ *Config, d *Deps) {
		d.Replay = func(_ context.Context, job imports.Job, report func(imports.Progress)) error {
			for _, f := range append(job.Captures, job.KeyLogs...) {
				b, err := os.ReadFile(f.Path)
				got = append(got, fmt.Sprintf("%s %s %d", f.Name, b, f.Size))
				if err != nil {
					return err
				}
			}
			report(imports.Progress{Bytes: 3, Packets: 4, Events: 5, Connections: 6, Decrypted: 7})
			return nil
		}
	})
	c := s.analyst()
	id := c.accepted(uploaded{"keylog", "keys.log", "K"}, uploaded{"capture", "a.pcap", "AB"}, uploaded{"capture", `..\..\é <b>.pcap`, "C"})
	want := api.Import{ID: id, Name: "a.pcap, é <b>.pcap", State: "done", BytesDone: 3, BytesTotal: 3, Packets: 4, Events: 5, Connections: 6, Decrypted: 7}
	if diff := cmp.Diff(want, c.ended(id)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"a.pcap AB 2", "é <b>.pcap C 1", "keys.log K 1"}, got); diff != "" {
		t.Error(diff)
	}
	if left, err := os.ReadDir(filepath.Join(s.srv.cfg.Dir, "imports")); err != nil || len(left) != 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
	if all := get[api.Imports](c, "/api/v1/imports"); len(all.Imports) != 1 || all.Imports[0].ID != id {
		t.Errorf("got %+v", all)
	}
	if got := s.audited(); got[0] != "ann import.create "+id+" ok" {
		t.Errorf("audited %q", got)
	}
}

func TestUploadsThatAreNotTaken(t *testing.T) {
	s := open(t, func(cfg *Config, _ *Deps) { cfg.Imports.MaxBytes, cfg.Imports.MaxFiles = 100, 2 })
	c := s.analyst()
	for _, tc := range []struct {
		name  string
		files []uploaded
		want  int
	}{
		{"nothing", nil, 422},
		{"no capture", []uploaded{{"keylog", "a", "x"}}, 422},
		{"another part", []uploaded{{"file", "a", "x"}}, 422},
		{"too large", []uploaded{{"capture", "a", strings.Repeat("x", 101)}}, 413},
		{"too large together", []uploaded{{"capture", "a", strings.Repeat("x", 60)}, {"capture", "b", strings.Repeat("x", 41)}}, 413},
		{"too many", []uploaded{{"capture", "a", "x"}, {"capture", "b", "x"}, {"capture", "c", "x"}}, 413},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if a := c.upload(tc.files...); a.status != tc.want || a.detail() == "" {
				t.Errorf("got %d %s", a.status, a.body)
			}
		})
	}
	if a := c.do(http.MethodPost, "/api/v1/imports", map[string]string{}); a.status != 422 {
		t.Errorf("JSON: %d %s", a.status, a.body)
	}
	if left, err := os.ReadDir(filepath.Join(s.srv.cfg.Dir, "imports")); err != nil || len(left) != 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
	s = open(t, func(cfg *Config, _ *Deps) { cfg.Imports.MinFree = 1 << 60 })
	if a := s.analyst().upload(uploaded{"capture", "a", "x"}); a.status != http.StatusInsufficientStorage {
		t.Errorf("no space: %d %s", a.status, a.body)
	}
}

func TestImportsRunOneByOneAndCanBeCancelled(t *testing.T) {
	running := make(chan string)
	s := open(t, func(_ *Config, d *Deps) {
		d.Replay = func(ctx context.Context, job imports.Job, report func(imports.Progress)) error {
			report(imports.Progress{Events: 1})
			running <- job.ID
			<-ctx.Done()
			return fmt.Errorf("read %s: %w", job.Captures[0].Path, ctx.Err())
		}
	})
	c := s.analyst()
	first := c.accepted(uploaded{"capture", "a", "x"})
	second := c.accepted(uploaded{"capture", "b", "x"})
	third := c.accepted(uploaded{"capture", "c", "x"})
	if id := <-running; id != first {
		t.Fatalf("%s runs first", id)
	}
	if in := get[api.Import](c, "/api/v1/imports/"+first); in.State != "running" || in.Events != 1 {
		t.Errorf("the first is %+v", in)
	}
	if in := get[api.Import](c, "/api/v1/imports/"+second); in.State != "queued" {
		t.Errorf("the second is %+v", in)
	}
	for _, id := range []string{second, first} {
		if a := c.do(http.MethodDelete, "/api/v1/imports/"+id, nil); a.status != 204 {
			t.Errorf("cancel: %d %s", a.status, a.body)
		}
	}
	for _, id := range []string{first, second} {
		if in := c.ended(id); in.State != "cancelled" || in.Error != "" {
			t.Errorf("a cancelled import is %+v", in)
		}
	}
	if id := <-running; id != third {
		t.Fatalf("%s runs next", id)
	}
	if a := c.do(http.MethodDelete, "/api/v1/imports/"+first, nil); a.status != 204 {
		t.Errorf("cancel again: %d %s", a.status, a.body)
	}
	if a := c.do(http.MethodDelete, "/api/v1/imports/"+strings.Repeat("0", 32), nil); a.status != 404 {
		t.Errorf("cancel what is not there: %d %s", a.status, a.body)
	}
}

func TestImportsThatFail(t *testing.T) {
	s := open(t, func(_ *Config, d *Deps) {
		d.Replay = func(_ context.Context, job imports.Job, _ func(imports.Progress)) error {
			if job.Captures[0].Name == "panic.pcap" {
				panic("fault")
			}
			return errors.New("read " + job.Captures[0].Path + ": damaged at byte 7")
		}
	})
	c := s.analyst()
	for name, want := range map[string]string{"a.pcap": "read a.pcap: damaged at byte 7", "panic.pcap": "a fault in the program ended the import; its log says more"} {
		if in := c.ended(c.accepted(uploaded{"capture", name, "x"})); in.State != "failed" || in.Error != want {
			t.Errorf("got %+v", in)
		}
	}
}

func TestImportsThatARestartInterrupts(t *testing.T) {
	s := open(t, nil)
	dir := filepath.Join(s.srv.cfg.Dir, "imports2")
	cfg := imports.DefaultConfig(dir)
	must(t, os.MkdirAll(filepath.Join(dir, "left-over"), 0o700))
	replaying := make(chan struct{})
	q := imports.New(cfg, s.state, func(ctx context.Context, _ imports.Job, _ func(imports.Progress)) error {
		close(replaying)
		<-ctx.Done()
		return ctx.Err()
	}, s.srv.log)
	must(t, q.Recover(t.Context()))
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
	var ids []string
	for range 2 {
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		w, err := form.CreateFormFile("capture", "a")
		must(t, err)
		_, err = w.Write([]byte("x"))
		must(t, err)
		must(t, form.Close())
		id, err := q.Add(t.Context(), "ann", multipart.NewReader(&body, form.Boundary()))
		must(t, err)
		ids = append(ids, id)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- q.Run(ctx) }()
	<-replaying
	stop()
	must(t, <-done)
	for _, id := range ids {
		if in, err := q.Get(t.Context(), id); err != nil || in.State != "failed" || !strings.Contains(in.Error, "stopped") {
			t.Errorf("got %+v, %v", in, err)
		}
	}
}
