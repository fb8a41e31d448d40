package detect

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/vitrine-ndr/vitrine/detect/target"
	"github.com/vitrine-ndr/vitrine/rules"
)

// Application is a service on the web, as the list of applications has it.
type Application struct {
	ID   string `yaml:"id"`
	Name string `yaml:"name"`
	Kind string `yaml:"kind" doc:"storage, paste, code, chat, mail, assistant"`
	// URLs are where it is. Inside, what the signals that all services have in common say is true, and what Activities say too.
	URLs       []string             `yaml:"urls"`
	Activities map[Activity][]Place `yaml:"activities"`
	Match      []Example            `yaml:"match" doc:"requests that belong to it, each with what is done"`
	NoMatch    []Example            `yaml:"no_match" doc:"requests that do not belong to it, or do not do what they say"`
}

// Place is where something is done.
type Place struct {
	URLs    []string `yaml:"urls"`
	Methods []string `yaml:"methods" doc:"any if left out"`
}

// application is an Application that was checked.
type application struct {
	Application
	patterns []target.Pattern
	places   []place
}

type place struct {
	activity activities
	patterns []target.Pattern
	methods  []string
}

// shipped are the applications that come with the program.
var shipped = sync.OnceValues(readShipped)

func readShipped() ([]*application, error) {
	files, err := fs.Glob(rules.Files, "applications/*.yaml")
	if err != nil {
		return nil, err
	}
	var all []*application
	for _, name := range files {
		var list struct {
			Applications []Application `yaml:"applications"`
		}
		if err := readYAML(rules.Files, name, &list); err != nil {
			return nil, err
		}
		for _, a := range list.Applications {
			c, err := a.compile()
			if err != nil {
				return nil, fmt.Errorf("%s: application %s: %w", name, a.ID, err)
			}
			all = append(all, c)
		}
	}
	return all, nil
}

// Applications are the services that rules can name.
func Applications() ([]Application, error) {
	known, err := shipped()
	out := make([]Application, len(known))
	for i, a := range known {
		out[i] = a.Application
	}
	return out, err
}

// readYAML reads a file whose unknown keys are errors.
func readYAML(files fs.FS, name string, into any) error {
	text, err := fs.ReadFile(files, name)
	if err != nil {
		return err
	}
	if err := decodeYAML(text, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func decodeYAML(text []byte, into any) error {
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(into); !errors.Is(err, io.EOF) { // which is what there is where nothing is said
		return worded(err)
	}
	return nil
}

func (a Application) compile() (*application, error) {
	c := &application{Application: a}
	var err error
	if c.patterns, err = parsePatterns(a.URLs); err != nil {
		return nil, err
	}
	if len(c.patterns) == 0 || !validID.MatchString(a.ID) {
		return nil, errors.New("it must have an id and urls")
	}
	for activity, places := range a.Activities {
		bit, ok := activityBits[activity]
		if !ok {
			return nil, fmt.Errorf("there is no activity %q", activity)
		}
		for _, p := range places {
			patterns, err := parsePatterns(p.URLs)
			if err != nil {
				return nil, err
			}
			c.places = append(c.places, place{bit, patterns, p.Methods})
		}
	}
	return c, nil
}

func parsePatterns(texts []string) (all []target.Pattern, err error) {
	for _, text := range texts {
		p, err := target.ParsePattern(text)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// activities are what the request does there that no common signal tells.
func (a *application) activities(q *question) (did activities) {
	for _, p := range a.places {
		if (len(p.methods) == 0 || slices.Contains(p.methods, q.http.Method)) && slices.ContainsFunc(p.patterns, q.isAt) {
			did |= p.activity
		}
	}
	return did
}

// applicationOf is the first application that the request belongs to.
func applicationOf(known []*application, q *question) *application {
	i := slices.IndexFunc(known, q.isIn)
	if i < 0 {
		return nil
	}
	return known[i]
}
