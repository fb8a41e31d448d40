package detect

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/vitrine-ndr/vitrine/event"
)

// Example is a request that a rule must or must not fit: in a rule file either "POST https://example.com/upload" or with headers and a
// body of its own.
type Example struct {
	Request string     `yaml:"request"`
	Headers []string   `yaml:"headers" doc:"as name: value"`
	Body    string     `yaml:"body"`
	Does    []Activity `yaml:"does" doc:"for applications: what is done"`
}

// UnmarshalYAML reads either form.
func (e *Example) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		return n.Decode(&e.Request)
	}
	type plain Example
	err := n.Decode((*plain)(e))
	known := keys(*e)
	for i := 0; err == nil && n.Kind == yaml.MappingNode && i < len(n.Content); i += 2 { // which a node does not check by itself
		if key := n.Content[i]; !slices.Contains(known, key.Value) {
			return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: field %s not found in type detect.plain", key.Line, key.Value)}}
		}
	}
	return err
}

// event returns the transaction.
func (e *Example) event() (*event.Event, error) {
	method, address, ok := strings.Cut(e.Request, " ")
	u, err := url.Parse(address)
	if !ok || err != nil || u.Host == "" {
		return nil, fmt.Errorf("%q is no method and URL", e.Request)
	}
	h := &event.HTTP{Method: method, Host: u.Hostname(), URL: u.RequestURI(), Request: &event.Message{Headers: append([]string{"Host: " + u.Host}, e.Headers...)}}
	if e.Body != "" {
		h.Request.Content = event.Content{Body: []byte(e.Body), Size: int64(len(e.Body)), State: event.Complete}
		h.Request.Headers = append(h.Request.Headers, "Content-Length: "+strconv.Itoa(len(e.Body)))
	}
	return &event.Event{Body: h}, nil
}

// Test tries the examples of all rules. The error says all that is wrong.
func (e *Engine) Test() (tried int, err error) {
	var wrong []error
	for i := range e.rules {
		r := &e.rules[i]
		for _, set := range []struct {
			examples []Example
			want     bool
		}{{r.Match, true}, {r.NoMatch, false}} {
			for _, x := range set.examples {
				tried++
				if err := r.try(&x, set.want); err != nil {
					wrong = append(wrong, fmt.Errorf("rule %s: %w", r.ID, err))
				}
			}
		}
	}
	return tried, errors.Join(wrong...)
}

func (r *rule) try(x *Example, want bool) error {
	ev, err := x.event()
	if err != nil {
		return err
	}
	q := question{http: ev.Body.(*event.HTTP), stage: End}
	if got := r.fits(&q) == yes; got != want {
		return fmt.Errorf("%s fits: %t, want %t", x.Request, got, want)
	}
	return nil
}
