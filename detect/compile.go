package detect

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
)

// maxRules is how many rules there may be. Each is asked about each request.
const maxRules = 5000

// Compile reads all files that end in .yaml, and in each the list "rules", in the order of their names. A folder without any gives an
// Engine without rules.
func Compile(files fs.FS) (*Engine, error) {
	known, err := shipped()
	if err != nil {
		return nil, err
	}
	e := &Engine{known: known}
	err = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) != ".yaml" {
			return err
		}
		return e.add(files, name)
	})
	if err != nil {
		return nil, err
	}
	return e, nil
}

func (e *Engine) add(files fs.FS, name string) error {
	var list ruleList
	if err := readYAML(files, name, &list); err != nil {
		return fmt.Errorf("read rules: %w", err)
	}
	if err := e.take(list); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// ruleList is a file of rules.
type ruleList struct {
	Rules []Rule `yaml:"rules"`
}

// Parse is Compile for the text of one file.
func Parse(text []byte) (*Engine, error) {
	known, err := shipped()
	if err != nil {
		return nil, err
	}
	var list ruleList
	if err := decodeYAML(text, &list); err != nil {
		return nil, err
	}
	e := &Engine{known: known}
	return e, e.take(list)
}

// take adds rules, and tells all that is wrong with them.
func (e *Engine) take(list ruleList) error {
	var wrong []error
	for _, r := range list.Rules {
		c, err := r.compile(e.known)
		switch {
		case err != nil:
			wrong = append(wrong, err)
		case slices.ContainsFunc(e.rules, func(o rule) bool { return o.ID == r.ID }):
			wrong = append(wrong, fmt.Errorf("rule %s: there is another one of that id", r.ID))
		default:
			e.rules = append(e.rules, c)
		}
	}
	if len(e.rules) > maxRules {
		wrong = append(wrong, fmt.Errorf("there are more than %d rules", maxRules))
	}
	return errors.Join(wrong...)
}
