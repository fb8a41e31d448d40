// Package config fills a program's configuration from flags, the environment and a YAML file, in this order of precedence.
// A struct with safe defaults goes in and comes out complete and checked; it knows nothing of what the settings mean.
//
// A field is a setting iff it has a yaml tag. Its dotted path of yaml names gives the name of its environment variable
// (store.url: VITRINE_STORE_URL); a flag tag makes it a flag too, and its doc tag explains it. The settings of a struct with the tag
// ",inline" stand beside those of the struct that it is in.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// envPrefix begins the name of every environment variable.
const envPrefix = "VITRINE_"

// maxFile bounds a configuration file.
const maxFile = 1 << 20

// Validator is a configuration, or a part of one, that checks itself.
type Validator interface{ Validate() error }

// Load overwrites the defaults in cfg, a pointer to a struct, by the file (none if path is empty), then by the environment,
// then by the flags that AddFlags made and that were set. Then it validates the whole.
func Load(cfg any, path string, getenv func(string) string, flags *pflag.FlagSet) error {
	if path != "" {
		if err := loadFile(cfg, path); err != nil {
			return fmt.Errorf("read configuration %s: %w", path, err)
		}
	}
	for _, s := range settingsOf(cfg) {
		if text := getenv(s.env()); text != "" {
			if err := s.set(splitList(s.value, text)); err != nil {
				return fmt.Errorf("read environment variable %s: %w", s.env(), err)
			}
		}
		if err := s.setFromFlag(flags); err != nil {
			return fmt.Errorf("read flag --%s: %w", s.flag, err)
		}
	}
	if v, ok := cfg.(Validator); ok {
		if err := v.Validate(); err != nil {
			return fmt.Errorf("check configuration: %w", err)
		}
	}
	return nil
}

func loadFile(cfg any, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return err
	}
	if len(text) > maxFile {
		return fmt.Errorf("larger than %d bytes", maxFile)
	}
	return Decode(text, cfg)
}

// Decode reads into cfg, a pointer to a struct, exactly one YAML document without unknown keys.
func Decode(text []byte, cfg any) error {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		return plainError(err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return errors.New("more than one YAML document")
	}
	if err := checkKeys(doc.Content[0], reflect.TypeOf(cfg).Elem(), ""); err != nil {
		return err
	}
	return plainError(doc.Decode(cfg))
}

// plainError puts an error of the YAML package, which may have several lines, into one.
func plainError(err error) error {
	if err == nil {
		return nil
	}
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	text = strings.TrimPrefix(text, "unmarshal errors:\n  ")
	return errors.New(strings.ReplaceAll(text, "\n  ", "; "))
}

// checkKeys reports the first key of the mapping that no field of t has.
func checkKeys(n *yaml.Node, t reflect.Type, prefix string) error {
	if n.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice {
		for _, item := range n.Content {
			if err := checkKeys(item, t.Elem(), prefix); err != nil {
				return err
			}
		}
		return nil
	}
	if n.Kind != yaml.MappingNode || t.Kind() != reflect.Struct || isScalar(t) {
		return nil // a value of the wrong shape is the decoder's to report
	}
	fields := map[string]reflect.Type{}
	names := appendKeys(nil, t, fields)
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		field, ok := fields[key.Value]
		if !ok {
			return fmt.Errorf("line %d: unknown key %q%s", key.Line, prefix+key.Value, suggestion(key.Value, names))
		}
		if err := checkKeys(value, field, prefix+key.Value+"."); err != nil {
			return err
		}
	}
	return nil
}

// appendKeys adds the keys that t has, and notes their types.
func appendKeys(names []string, t reflect.Type, types map[string]reflect.Type) []string {
	for i := range t.NumField() {
		f := t.Field(i)
		if isInline(f) {
			names = appendKeys(names, f.Type, types)
		} else if name, ok := yamlName(f); ok {
			types[name] = f.Type
			names = append(names, name)
		}
	}
	return names
}

func suggestion(name string, known []string) string {
	if best, ok := Nearest(name, known); ok {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	return "; known are " + strings.Join(known, ", ")
}
