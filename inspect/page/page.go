// Package page is what a client sees in place of an answer when its request was blocked. Facts about the block come in, a small page of
// its own goes out: for people in English or Chinese, for programs as JSON or text. Everything in it that was observed is escaped, and it
// refers to nothing else. It knows nothing of how it is delivered.
package page

import (
	"bytes"
	"encoding/json"
	"html/template"
	"slices"
	"strconv"
	"strings"
)

// Block is what there is to say.
type Block struct {
	Host      string `json:"host,omitempty"`
	Policy    string `json:"policy,omitempty"`
	Rule      string `json:"rule"`
	Why       string `json:"why,omitempty"`
	Reference string `json:"reference"`
	Contact   string `json:"contact,omitempty"` // whom to ask
}

// maxText is how much of one fact is shown.
const maxText = 200

func (b Block) cut() Block {
	for _, s := range []*string{&b.Host, &b.Policy, &b.Rule, &b.Why, &b.Reference, &b.Contact} {
		if len(*s) > maxText {
			*s = (*s)[:maxText] + "…"
		}
		*s = strings.Map(printable, strings.ToValidUTF8(*s, "�"))
	}
	return b
}

// Render returns the page and its content type, as the client's Accept and Accept-Language headers want it.
func (b Block) Render(accept, language string) (kind string, body []byte) {
	b = b.cut()
	var buf bytes.Buffer
	switch form(accept) {
	case "text/html":
		words := english
		if chinese(language) {
			words = mandarin
		}
		if err := html.Execute(&buf, struct {
			Block
			Words map[string]string
		}{b, words}); err == nil {
			return "text/html; charset=utf-8", buf.Bytes()
		}
	case "application/json":
		if text, err := json.Marshal(struct {
			Error string `json:"error"`
			Block
		}{"blocked", b}); err == nil {
			return "application/json", append(text, '\n')
		}
	}
	return "text/plain; charset=utf-8", b.text()
}

func (b Block) text() []byte {
	var buf bytes.Buffer
	buf.WriteString(english["title"] + "\n")
	for _, l := range [][2]string{{"host", b.Host}, {"why", b.Why}, {"rule", b.Rule}, {"policy", b.Policy}, {"reference", b.Reference}, {"contact", b.Contact}} {
		if l[1] != "" {
			buf.WriteString(english[l[0]] + ": " + l[1] + "\n")
		}
	}
	return buf.Bytes()
}

func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return '.'
	}
	return r
}

// form is the first of the forms that the client names, or text for one that names none, as programs do.
func form(accept string) string {
	for part := range strings.SplitSeq(accept, ",") {
		kind, _, _ := strings.Cut(part, ";")
		switch kind = strings.ToLower(strings.TrimSpace(kind)); {
		case kind == "text/html", kind == "application/xhtml+xml":
			return "text/html"
		case kind == "application/json", strings.HasSuffix(kind, "+json"):
			return "application/json"
		}
	}
	return "text/plain"
}

// chinese tells whether the client prefers Chinese to English.
func chinese(language string) bool {
	best, zh := 0.0, false
	for part := range strings.SplitSeq(language, ",") {
		tag, parameters, _ := strings.Cut(strings.ToLower(strings.TrimSpace(part)), ";")
		primary, _, _ := strings.Cut(tag, "-")
		weight := 1.0
		if q, ok := strings.CutPrefix(strings.TrimSpace(parameters), "q="); ok {
			weight, _ = strconv.ParseFloat(q, 64) // what is no number has no weight
		}
		if slices.Contains([]string{"zh", "en"}, primary) && weight > best {
			best, zh = weight, primary == "zh"
		}
	}
	return zh
}

var english = map[string]string{
	"lang": "en", "title": "This request was blocked", "intro": "The network that you are in does not allow it. Nothing of it has reached the server.",
	"host": "Server", "why": "Reason", "rule": "Rule", "policy": "Policy", "reference": "Reference", "contact": "Whom to ask",
	"help": "If you think that this is a mistake, tell whoever runs the network the reference above.",
}

var mandarin = map[string]string{
	"lang": "zh-CN", "title": "此请求已被阻断", "intro": "您所在的网络不允许此请求，其内容没有到达服务器。",
	"host": "服务器", "why": "原因", "rule": "规则", "policy": "策略", "reference": "事件编号", "contact": "联系人",
	"help": "如果您认为这是误判，请把上面的事件编号告诉网络管理员。",
}

var html = template.Must(template.New("block").Parse(`<!doctype html>
<html lang="{{.Words.lang}}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">
<title>{{.Words.title}}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;margin:10vh auto;max-width:40rem;padding:0 1rem;color:#222;background:#fff}h1{font-size:1.4rem}
dt{color:#555;font-size:.9rem}dd{margin:0 0 .7rem;overflow-wrap:anywhere}@media(prefers-color-scheme:dark){body{color:#ddd;background:#1b1b1b}dt{color:#aaa}}</style></head>
<body><h1>{{.Words.title}}</h1><p>{{.Words.intro}}</p><dl>
{{with .Host}}<dt>{{$.Words.host}}</dt><dd>{{.}}</dd>
{{end}}{{with .Why}}<dt>{{$.Words.why}}</dt><dd>{{.}}</dd>
{{end}}<dt>{{.Words.rule}}</dt><dd>{{.Rule}}</dd>
{{with .Policy}}<dt>{{$.Words.policy}}</dt><dd>{{.}}</dd>
{{end}}<dt>{{.Words.reference}}</dt><dd><strong>{{.Reference}}</strong></dd>
{{with .Contact}}<dt>{{$.Words.contact}}</dt><dd>{{.}}</dd>
{{end}}</dl><p>{{.Words.help}}</p></body></html>
`))
