package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// setting is one leaf of a configuration.
type setting struct {
	path  string // dotted yaml names
	flag  string // name of its flag, or empty
	doc   string
	value reflect.Value
}

func settingsOf(cfg any) []setting { return appendSettings(nil, reflect.ValueOf(cfg).Elem(), "") }

func appendSettings(out []setting, v reflect.Value, prefix string) []setting {
	for i := range v.NumField() {
		sf := v.Type().Field(i)
		name, ok := yamlName(sf)
		switch {
		case isInline(sf):
			out = appendSettings(out, v.Field(i), prefix)
		case !ok:
		case sf.Type.Kind() == reflect.Struct && !isScalar(sf.Type):
			out = appendSettings(out, v.Field(i), prefix+name+".")
		default:
			out = append(out, setting{prefix + name, sf.Tag.Get("flag"), sf.Tag.Get("doc"), v.Field(i)})
		}
	}
	return out
}

// Changed returns the dotted names of the settings that differ between two configurations of the same type, in the order of its fields.
func Changed(before, now any) (names []string) {
	later := settingsOf(now)
	for i, s := range settingsOf(before) {
		if !reflect.DeepEqual(s.value.Interface(), later[i].value.Interface()) {
			names = append(names, s.path)
		}
	}
	return names
}

func yamlName(sf reflect.StructField) (name string, ok bool) {
	name, _, _ = strings.Cut(sf.Tag.Get("yaml"), ",")
	return name, name != ""
}

// isInline tells whether the settings of a struct stand beside those of the struct that it is in.
func isInline(sf reflect.StructField) bool { return sf.Tag.Get("yaml") == ",inline" }

// isScalar tells whether a type reads itself from text.
func isScalar(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

func (s setting) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.path, ".", "_"))
}

func isList(v reflect.Value) bool { return v.Kind() == reflect.Slice }

// splitList splits the text of a list at its commas.
func splitList(v reflect.Value, text string) []string {
	if isList(v) {
		return strings.Split(text, ",")
	}
	return []string{text}
}

// set reads the texts as the setting's type, in the same way as the file: a list takes each, anything else the last.
func (s setting) set(texts []string) error {
	if !isList(s.value) {
		return setScalar(s.value, texts[len(texts)-1])
	}
	list := reflect.MakeSlice(s.value.Type(), len(texts), len(texts))
	for i, text := range texts {
		if err := setScalar(list.Index(i), text); err != nil {
			return err
		}
	}
	s.value.Set(list)
	return nil
}

func setScalar(v reflect.Value, text string) error {
	if v.Kind() == reflect.String && !isScalar(v.Type()) {
		v.SetString(text) // never to be taken for a number or a date
		return nil
	}
	node := yaml.Node{Kind: yaml.ScalarNode, Value: text}
	return plainError(node.Decode(v.Addr().Interface()))
}

// AddFlags adds a flag for each field of cfg with a flag tag. The flags keep what they are set to until Load.
func AddFlags(flags *pflag.FlagSet, cfg any) {
	for _, s := range settingsOf(cfg) {
		if s.flag == "" {
			continue
		}
		flag := flags.VarPF(&flagValue{value: s.value}, s.flag, "", s.doc)
		if s.value.Kind() == reflect.Bool {
			flag.NoOptDefVal = "true"
		}
	}
}

func (s setting) setFromFlag(flags *pflag.FlagSet) error {
	if s.flag == "" || flags == nil {
		return nil
	}
	f := flags.Lookup(s.flag)
	if f == nil || !f.Changed {
		return nil
	}
	return s.set(f.Value.(*flagValue).texts)
}

// flagValue keeps the texts that a flag was set to. Its default is what the field holds.
type flagValue struct {
	value reflect.Value
	texts []string
}

// Set checks the text at once, so that a wrong one is reported as wrong usage.
func (f *flagValue) Set(text string) error {
	scratch := setting{value: reflect.New(f.value.Type()).Elem()}
	if err := scratch.set([]string{text}); err != nil {
		return err
	}
	f.texts = append(f.texts, text)
	return nil
}

func (f *flagValue) String() string {
	if !f.value.IsValid() || f.value.IsZero() {
		return ""
	}
	return fmt.Sprint(f.value.Interface())
}

// Type names the value in a command's help.
func (f *flagValue) Type() string {
	switch {
	case f.value.Kind() == reflect.Bool:
		return "bool"
	case isList(f.value):
		return "list"
	case f.value.CanInt() && !isScalar(f.value.Type()):
		return "number"
	}
	return "text"
}
