package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

type sample struct {
	Data      string        `yaml:"data" flag:"data" doc:"Data folder"`
	Listen    string        `yaml:"listen"`
	Interface []string      `yaml:"iface" flag:"iface" doc:"Interfaces"`
	Probe     bool          `yaml:"probe" flag:"probe" doc:"Probe"`
	Wait      time.Duration `yaml:"wait"`
	Retention struct {
		Days int  `yaml:"days" flag:"days" doc:"Days"`
		Disk Size `yaml:"disk"`
	} `yaml:"retention"`
	Rules []struct {
		Name string `yaml:"name"`
	} `yaml:"rules"`
	Beside `yaml:",inline"`

	hidden int
}

// Beside has settings that stand beside others.
type Beside struct {
	Inner string `yaml:"inner" flag:"inner" doc:"Inner"`
}

func (s *sample) Validate() error {
	if s.Retention.Days < 1 {
		return errors.New("retention.days must be at least 1")
	}
	return nil
}

func defaults() *sample {
	s := &sample{Data: "data", Wait: time.Second, hidden: 7}
	s.Retention.Days = 30
	return s
}

func load(t *testing.T, file string, env map[string]string, args ...string) (*sample, error) {
	t.Helper()
	cfg := defaults()
	path := ""
	if file != "" {
		path = filepath.Join(t.TempDir(), "vitrine.yaml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	AddFlags(flags, cfg)
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	return cfg, Load(cfg, path, func(k string) string { return env[k] }, flags)
}

func TestPrecedence(t *testing.T) {
	file := "data: file\nlisten: file\niface: [a, b]\nwait: 2m\nretention: {days: 1, disk: 10GiB}\n"
	env := map[string]string{"VITRINE_DATA": "env", "VITRINE_IFACE": "c,d", "VITRINE_RETENTION_DAYS": "2", "VITRINE_LISTEN": "0123"}
	got, err := load(t, file, env, "--data", "flag", "--probe", "--days=3")
	if err != nil {
		t.Fatal(err)
	}
	want := &sample{Data: "flag", Listen: "0123", Interface: []string{"c", "d"}, Probe: true, Wait: 2 * time.Minute, hidden: 7}
	want.Retention.Days, want.Retention.Disk = 3, 10<<30
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(sample{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestDefaultsStay(t *testing.T) {
	got, err := load(t, "# nothing\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(defaults(), got, cmp.AllowUnexported(sample{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestErrors(t *testing.T) {
	for _, tc := range []struct {
		name, file string
		env        map[string]string
		args       []string
		want       string
	}{
		{name: "unknown key", file: "data: x\nlissten: y\n", want: `line 2: unknown key "lissten"; did you mean "listen"?`},
		{name: "unknown key inside", file: "retention:\n  weeks: 3\n", want: `line 2: unknown key "retention.weeks"; known are days, disk`},
		{name: "unknown key in a list", file: "rules:\n- name: a\n- nane: b\n", want: `line 3: unknown key "rules.nane"; did you mean "name"?`},
		{name: "a field that is no setting", file: "hidden: 3\n", want: `unknown key "hidden"`},
		{name: "wrong type", file: "data: x\nprobe: many\n", want: "line 2: cannot unmarshal"},
		{name: "wrong size", file: "retention: {disk: 3 apples}\n", want: `read size "3 apples"`},
		{name: "given twice", file: "data: x\ndata: y\n", want: `line 2: mapping key "data" already defined`},
		{name: "two documents", file: "data: x\n---\ndata: y\n", want: "more than one YAML document"},
		{name: "not a mapping", file: "- data\n", want: "line 1: cannot unmarshal"},
		{name: "no YAML", file: "data: [\n", want: "did not find expected node content"},
		{name: "invalid value", file: "retention: {days: 0}\n", want: "check configuration: retention.days must be at least 1"},
		{name: "environment", env: map[string]string{"VITRINE_WAIT": "soon"}, want: "read environment variable VITRINE_WAIT"},
		{name: "flag", args: []string{"--days", "x"}, want: `invalid argument "x" for "--days" flag`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := load(t, tc.file, tc.env, tc.args...)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got error %v, want %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("the error has several lines: %v", err)
			}
		})
	}
}

func TestChanged(t *testing.T) {
	if got := Changed(defaults(), defaults()); len(got) > 0 {
		t.Errorf("changed without a change: %q", got)
	}
	now := defaults()
	now.hidden, now.Interface, now.Inner, now.Retention.Disk = 8, []string{"lo"}, "x", 1
	now.Rules = append(now.Rules, struct {
		Name string `yaml:"name"`
	}{"y"})
	if diff := cmp.Diff([]string{"iface", "retention.disk", "rules", "inner"}, Changed(defaults(), now)); diff != "" {
		t.Error(diff)
	}
}

func TestMissingFile(t *testing.T) {
	if err := Load(defaults(), "/does/not/exist", os.Getenv, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got error %v", err)
	}
}

func TestSize(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want Size
		out  string
	}{
		{"0", 0, "0"}, {"512", 512, "512"}, {"512B", 512, "512"}, {"64KiB", 64 << 10, "64KiB"}, {"64K", 64 << 10, "64KiB"},
		{"3 GiB", 3 << 30, "3GiB"}, {"1536MiB", 1536 << 20, "1536MiB"}, {"2T", 2 << 40, "2TiB"},
	} {
		var got Size
		if err := got.UnmarshalText([]byte(tc.in)); err != nil || got != tc.want || got.String() != tc.out {
			t.Errorf("%q is %d, written %s, %v", tc.in, got, got, err)
		}
	}
	for _, in := range []string{"", "x", "-1", "1.5G", "KiB", "9999999T", "3KM", "0x10"} {
		if err := new(Size).UnmarshalText([]byte(in)); err == nil {
			t.Errorf("%q was read as a size", in)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("data: x\nretention: {days: 1}\n"))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		_ = Decode(text, defaults())
	})
}

func TestInline(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("inner: file\nretention: {days: 1}")
	s := defaults()
	if err := Load(s, path, func(string) string { return "" }, nil); err != nil || s.Inner != "file" {
		t.Errorf("got %q, %v", s.Inner, err)
	}
	if err := Load(s, path, func(name string) string { return map[string]string{"VITRINE_INNER": "environment"}[name] }, nil); err != nil || s.Inner != "environment" {
		t.Errorf("got %q, %v", s.Inner, err)
	}
	write("inne: file")
	if err := Load(s, path, func(string) string { return "" }, nil); err == nil || !strings.Contains(err.Error(), `did you mean "inner"?`) {
		t.Errorf("got %v", err)
	}
}
