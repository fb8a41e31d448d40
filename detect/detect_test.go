package detect

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
)

// compile returns an Engine of the rules, which stand in one file.
func compile(t testing.TB, text string) (*Engine, error) {
	t.Helper()
	return Compile(fstest.MapFS{"rules.yaml": {Data: []byte("rules:\n" + text)}})
}

func need(t testing.TB, text string) *Engine {
	t.Helper()
	e, err := compile(t, text)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// ask returns the verdict and the rules of the findings, those that block in capitals.
func ask(t testing.TB, e *Engine, x Example, stage Stage, policy string) (flow.Verdict, string) {
	t.Helper()
	ev, err := x.event()
	if err != nil {
		t.Fatal(err)
	}
	ev.Conn = &flow.Conn{Policy: &flow.Policy{ID: policy}}
	if stage == Head {
		ev.Body.(*event.HTTP).Request.Content = event.Content{}
	}
	v, findings := e.Inspect(ev, stage)
	var ids []string
	for _, f := range findings {
		if f.Action == event.Blocked {
			f.Rule = strings.ToUpper(f.Rule)
		}
		ids = append(ids, f.Rule)
	}
	return v, strings.Join(ids, " ")
}

const office = `
- {id: watch, action: alert, urls: ["*.example.com", example.com]}
- {id: no-uploads, action: block, urls: ["example.com/upload/*"], direction: upload}
- {id: no-posts, action: block, policies: [office], urls: ["board.example"], methods: [post]}
- {id: no-secrets, action: block, urls: ["*"], contains: [{field: body, text: SECRET}]}
- {id: no-agent, action: block, urls: ["*"], matches: [{field: header.user-agent, regex: "(?i)^evil/[0-9]+"}]}
- {id: no-drive, action: block, applications: [google-drive], activities: [upload]}
- {id: attachments, action: alert, activities: [login]}
`

func TestInspect(t *testing.T) {
	e := need(t, office)
	form := []string{"Content-Type: multipart/form-data; boundary=x", "Content-Length: 10"}
	for name, c := range map[string]struct {
		x       Example
		stage   Stage
		policy  string
		verdict flow.Verdict
		want    string
	}{
		"browsing waits for the body":  {Example{Request: "GET https://example.com/upload/"}, Head, "", flow.Hold, ""},
		"browsing passes":              {Example{Request: "GET https://example.com/upload/"}, Request, "", flow.Pass, ""},
		"browsing is told":             {Example{Request: "GET https://example.com/upload/"}, End, "", flow.Pass, "watch"},
		"PUT":                          {Example{Request: "PUT https://example.com/upload/a"}, Head, "", flow.Drop, "watch NO-UPLOADS"},
		"PUT elsewhere":                {Example{Request: "PUT https://example.com/other/a"}, Head, "", flow.Hold, ""},
		"form with files":              {Example{Request: "POST https://example.com/x/..//%75pload/a", Headers: form}, Head, "", flow.Drop, "watch NO-UPLOADS"},
		"typed form":                   {Example{Request: "POST https://example.com/upload/a", Headers: []string{"Content-Type: application/x-www-form-urlencoded"}, Body: "a=b"}, Request, "", flow.Pass, ""},
		"policy":                       {Example{Request: "POST https://board.example/"}, Head, "office", flow.Drop, "NO-POSTS"},
		"other policy":                 {Example{Request: "POST https://board.example/"}, Request, "lab", flow.Pass, ""},
		"literal in the body":          {Example{Request: "POST https://a.example/", Body: "a SECRET b"}, Request, "", flow.Drop, "NO-SECRETS"},
		"literal, not seen yet":        {Example{Request: "POST https://a.example/", Body: "a SECRET b"}, Head, "", flow.Hold, ""},
		"literal, too late":            {Example{Request: "POST https://a.example/", Body: "a SECRET b"}, End, "", flow.Pass, "no-secrets"},
		"header":                       {Example{Request: "GET https://a.example/", Headers: []string{"user-agent: Evil/7"}}, Head, "", flow.Drop, "NO-AGENT"},
		"application":                  {Example{Request: "POST https://www.googleapis.com/upload/drive/v3/files?uploadType=media"}, Head, "", flow.Drop, "NO-DRIVE"},
		"application, other activity":  {Example{Request: "GET https://drive.google.com/"}, Request, "", flow.Pass, ""},
		"login":                        {Example{Request: "POST https://a.example/users/sign_in", Headers: []string{"Content-Type: application/x-www-form-urlencoded"}, Body: "u=1"}, End, "", flow.Pass, "attachments"},
		"second host":                  {Example{Request: "PUT https://harmless.example/upload/a", Headers: []string{"Host: example.com"}}, Head, "", flow.Drop, "watch NO-UPLOADS"},
		"password in a form elsewhere": {Example{Request: "POST https://a.example/x", Headers: []string{"Content-Type: application/x-www-form-urlencoded"}, Body: "user=a&password=b"}, End, "", flow.Pass, "attachments"},
	} {
		t.Run(name, func(t *testing.T) {
			v, ids := ask(t, e, c.x, c.stage, c.policy)
			if v != c.verdict || ids != c.want {
				t.Errorf("verdict %d, findings %q; want %d, %q", v, ids, c.verdict, c.want)
			}
		})
	}
	if !e.Blocks("") || need(t, `- {id: a, action: block, policies: [x], urls: ["*"]}`).Blocks("y") {
		t.Error("it is not known for which policies there are rules that block")
	}
}

// TestBlocksAt asks where rules may block.
func TestBlocksAt(t *testing.T) {
	e := need(t, `
- {id: a, action: block, policies: [office], urls: ["example.com/private/*", "*.share.example"]}
- {id: b, action: alert, urls: ["watched.example"]}
- {id: c, action: block, policies: [office], applications: [google-drive], activities: [upload]}
- {id: d, action: block, policies: [strict], direction: upload}
- {id: e, action: block, policies: [tight], urls: ["*"], applications: [google-drive]}`)
	for _, tt := range []struct {
		policy, host string
		want         bool
	}{
		{"office", "example.com", true}, {"office", "EXAMPLE.com.", true}, {"office", "www.example.com", false}, {"office", "a.share.example", true},
		{"office", "share.example", false}, {"office", "watched.example", false}, {"office", "drive.google.com", true}, {"office", "", true}, {"other", "example.com", false},
		{"other", "", false}, {"strict", "whatever.example", true}, {"strict", "192.0.2.1", true}, {"tight", "drive.google.com", true}, {"tight", "whatever.example", false},
	} {
		if got := e.BlocksAt(tt.policy, tt.host); got != tt.want {
			t.Errorf("%s in %s: %t", tt.host, tt.policy, got)
		}
	}
	if (*Engine)(nil).BlocksAt("office", "example.com") {
		t.Error("no rules block")
	}
}

func TestFinding(t *testing.T) {
	e := need(t, `- {id: no-drive, action: block, description: "No files to Drive", applications: [google-drive], activities: [upload]}`)
	ev, err := (&Example{Request: "POST https://www.googleapis.com/upload/drive/v3/files"}).event()
	if err != nil {
		t.Fatal(err)
	}
	_, findings := e.Inspect(ev, Head)
	if len(findings) != 1 {
		t.Fatalf("%d findings", len(findings))
	}
	f := findings[0]
	if f.Application != "google-drive" || !slices.Contains(f.Activities, "upload") || f.Severity != 2 || f.Name != "No files to Drive" || f.Engine != "request" {
		t.Errorf("got %+v", f)
	}
}

func TestCompileRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"unknown key":         `- {id: a, action: alert, urls: ["*"], colour: red}`,
		"no condition":        `- {id: a, action: alert}`,
		"bad id":              `- {id: "A b", action: alert, urls: ["*"]}`,
		"bad action":          `- {id: a, action: drop, urls: ["*"]}`,
		"same id":             "- {id: a, action: alert, urls: [\"*\"]}\n- {id: a, action: alert, urls: [\"*\"]}",
		"bad pattern":         `- {id: a, action: alert, urls: ["https://a/"]}`,
		"unknown application": `- {id: a, action: alert, applications: [myspace]}`,
		"unknown activity":    `- {id: a, action: alert, activities: [dance]}`,
		"bad direction":       `- {id: a, action: alert, direction: sideways}`,
		"bad regex":           `- {id: a, action: alert, matches: [{field: url, regex: "("}]}`,
		"unknown field":       `- {id: a, action: alert, contains: [{field: colour, text: red}]}`,
		"empty literal":       `- {id: a, action: alert, contains: [{field: url, text: ""}]}`,
		"bad severity":        `- {id: a, action: alert, urls: ["*"], severity: 9}`,
	} {
		if _, err := compile(t, text); err == nil {
			t.Errorf("%s: no error", name)
		} else {
			t.Log(err)
		}
	}
}

// TestWording says what is wrong in the words of a file of rules, however it is read.
func TestWording(t *testing.T) {
	text := "rules:\n- id: a\n  action: [x]\n  colour: red\n  urls: x\n  methods: {a: b}\n  severity: high\n  contains: [{feld: body}]\n  matches: 7\n  no_match: [{requst: x}]\n- foo\nrulez: []\n"
	want := `line 3: here must be alert or block, not a list
line 4: a rule has no key "colour"; its keys are id, description, action, severity, policies, urls, methods, applications, activities, direction, contains, matches, match, no_match
line 5: here must be a list, not a text ("x")
line 6: here must be a list, not keys with values
line 7: here must be a number, not a text ("high")
line 8: an entry of contains has no key "feld"; its keys are field, text
line 9: here must be a list of entries with field and regex, not a number ("7")
line 10: an example has no key "requst"; its keys are request, headers, body, does
line 11: here must be a rule, not a text ("foo")
line 12: a file of rules has no key "rulez"; its keys are rules`
	if _, err := Parse([]byte(text)); err == nil || err.Error() != want {
		t.Errorf("told\n%v\nwant\n%s", err, want)
	}
	if _, err := Compile(fstest.MapFS{"a.yaml": {Data: []byte(text)}}); err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("told\n%v", err)
	}
	for _, text := range []string{"x", "rules: {a: b}", "rules: [{urls: [[]]}]", "rules: [{match: [[]], severity: 70000}]", "a: [", "rules: [{contains: [[]], id: {}}]"} {
		if _, err := Parse([]byte(text)); err == nil || strings.Contains(err.Error(), "detect.") || strings.Contains(err.Error(), "unmarshal") {
			t.Errorf("%s: told %v", text, err)
		}
	}
	if e, err := Compile(fstest.MapFS{"a.yaml": {Data: []byte("# none yet\n")}}); err != nil || len(e.Rules()) > 0 {
		t.Errorf("a file without rules: %v", err)
	}
}

func TestExamples(t *testing.T) {
	e := need(t, `- {id: a, action: alert, urls: ["example.com/a"], match: ["GET https://example.com/a", "GET https://example.com/b"], no_match: ["GET https://example.com/c"]}`)
	if n, err := e.Test(); n != 3 || err == nil || !strings.Contains(err.Error(), "example.com/b") {
		t.Errorf("%d tried, %v", n, err)
	}
}

// TestApplications tries the examples of the list that is shipped.
func TestApplications(t *testing.T) {
	known, err := shipped()
	if err != nil {
		t.Fatal(err)
	}
	if len(known) < 15 {
		t.Errorf("%d applications", len(known))
	}
	for _, a := range known {
		if len(a.Match) == 0 || len(a.NoMatch) == 0 || a.Name == "" || a.Kind == "" {
			t.Errorf("%s lacks something", a.ID)
		}
		for _, x := range a.Match {
			ev, err := x.event()
			if err != nil {
				t.Fatal(err)
			}
			q := question{http: ev.Body.(*event.HTTP), stage: End}
			if !q.isIn(a) {
				t.Errorf("%s: %s does not belong to it", a.ID, x.Request)
			}
			did := (q.activities() | a.activities(&q)).names()
			for _, want := range x.Does {
				if !slices.Contains(did, string(want)) {
					t.Errorf("%s: %s does %v, want %s", a.ID, x.Request, did, want)
				}
			}
		}
		for _, x := range a.NoMatch {
			ev, err := x.event()
			if err != nil {
				t.Fatal(err)
			}
			if q := (question{http: ev.Body.(*event.HTTP), stage: End}); q.isIn(a) {
				t.Errorf("%s: %s belongs to it", a.ID, x.Request)
			}
		}
	}
}

func BenchmarkInspect(b *testing.B) {
	e := need(b, office)
	ev, err := (&Example{Request: "GET https://www.example.net/a/b/c.js?v=1", Headers: []string{"User-Agent: Mozilla/5.0", "Accept: */*", "Cookie: a=b"}}).event()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		e.Inspect(ev, Head)
	}
}
