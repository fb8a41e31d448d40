package trust

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// java is the store of one JDK, or of several that share one.
type java struct {
	m       *Machine
	file    string // cacerts
	keytool string
	absent  string
}

// jdks are where JDKs are installed: by distributions, by hand, by SDKMAN in users' folders.
var jdks = []string{"/usr/lib/jvm/*", "/usr/java/*", "/opt/java/*", "/opt/*jdk*", "/opt/*jre*", "/usr/lib64/jvm/*"}

// password is that of cacerts everywhere, unless somebody has changed it. It keeps nothing secret.
const password = "changeit"

// javas finds every store once.
func javas(m *Machine) (all []Store) {
	folders := []string{}
	if home := os.Getenv("JAVA_HOME"); home != "" {
		folders = append(folders, home)
	}
	for _, pattern := range jdks {
		folders = append(folders, m.glob(pattern)...)
	}
	for _, h := range m.Homes {
		folders = append(folders, m.glob(h.Dir+"/.sdkman/candidates/java/*")...)
	}
	seen := map[string]bool{}
	for _, dir := range folders {
		for _, file := range []string{dir + "/lib/security/cacerts", dir + "/jre/lib/security/cacerts"} {
			if real := m.below(m.path(file)); m.exists(file) && !seen[real] {
				seen[real] = true
				all = append(all, newJava(m, dir, real))
			}
		}
	}
	if len(all) == 0 {
		all = append(all, &java{m: m, file: "java", absent: "no JDK was found"})
	}
	return all
}

func newJava(m *Machine, dir, file string) *java {
	j := &java{m: m, file: file, keytool: dir + "/bin/keytool"}
	if !m.exists(j.keytool) {
		j.keytool, _ = m.Look("keytool")
	}
	return j
}

func (j *java) Name() string {
	if j.absent != "" {
		return "java"
	}
	return "java " + j.file
}

func (j *java) Absent() string  { return j.absent }
func (j *java) Restart() string { return "restart Java programs that run" }

// arguments are keytool's, to do something with the store.
func (j *java) arguments(verb string, args ...string) ([]string, error) {
	if j.keytool == "" {
		return nil, fmt.Errorf("keytool is missing, so that %s can be neither read nor changed: install a JDK of the same version", j.file)
	}
	return append([]string{verb, "-keystore", j.file, "-storepass", password}, args...), nil
}

// list returns the store's certificates, or one of them, in PEM.
func (j *java) list(ctx context.Context, args ...string) ([]byte, error) {
	args, err := j.arguments("-list", append(args, "-rfc")...)
	if err != nil {
		return nil, err
	}
	out, err := output(j.m.command(ctx, j.keytool, args...))
	if err != nil && bytes.Contains(out, []byte("password")) {
		err = fmt.Errorf("%w\nthe store has a password of its own: import the certificate with keytool -importcert -keystore %s", err, j.file)
	}
	return out, err
}

func (j *java) Trusts(ctx context.Context, r Root) (bool, string, error) {
	text, err := j.list(ctx)
	if err != nil {
		return false, "", err
	}
	n, in := 0, false
	for der := range certificates(text) {
		n, in = n+1, in || bytes.Equal(der, r.Raw)
	}
	if in {
		return true, fmt.Sprintf("keytool lists it, one of %d", n), nil
	}
	return false, fmt.Sprintf("keytool lists %d others", n), nil
}

func (j *java) Install(ctx context.Context, r Root) error {
	return j.change(ctx, "-importcert", r, r.name(), "-noprompt")
}

// Uninstall deletes the entry of Install, and the one that Debian's store makes of the system's: it keeps that when the system's is gone.
func (j *java) Uninstall(ctx context.Context, r Root) error {
	for _, alias := range []string{r.name(), "debian:" + r.name() + ".pem"} {
		in, err := j.has(ctx, alias, r)
		if err == nil && in {
			err = j.change(ctx, "-delete", r, alias)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// has tells whether an alias is there, and is that of the root.
func (j *java) has(ctx context.Context, alias string, r Root) (bool, error) {
	text, err := j.list(ctx, "-alias", alias)
	if err != nil { // keytool fails for an alias that is not there, in words that depend on the language
		_, err = j.list(ctx)
		return false, err
	}
	for der := range certificates(text) {
		return bytes.Equal(der, r.Raw), nil
	}
	return false, nil
}

func (j *java) change(ctx context.Context, verb string, r Root, alias string, args ...string) error {
	args, err := j.arguments(verb, append(args, "-alias", alias)...)
	if err != nil {
		return err
	}
	cmd := j.m.command(ctx, j.keytool, args...)
	cmd.Stdin = bytes.NewReader(r.pem())
	what := path.Base(j.keytool) + " " + verb + " -keystore " + j.file + " -alias " + alias
	if err := j.m.act(cmd, what); err != nil {
		return fmt.Errorf("change %s: %w", filepath.Clean(j.file), explainJava(err))
	}
	return nil
}

func explainJava(err error) error {
	if strings.Contains(err.Error(), "ermission denied") {
		return fmt.Errorf("%w: run the command as root (sudo)", err)
	}
	return err
}
