package trust

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// ours is the folder of what is not kept in a store that was there before.
const ours = "/etc/vitrine/trust"

// dropin sets environment variables for everybody who logs in, in two files: for shells, and for what systemd starts for users. A
// variable that is set already stays as it is. System services are not told: whoever runs one decides that.
type dropin struct {
	m    *Machine
	name string
	vars map[string]string
}

func (d *dropin) files() (shell, systemd string) {
	return "/etc/profile.d/vitrine-trust-" + d.name + ".sh", "/etc/environment.d/60-vitrine-trust-" + d.name + ".conf"
}

func (d *dropin) install() error {
	shell, systemd := d.files()
	var profile, environment bytes.Buffer
	for _, key := range slices.Sorted(maps.Keys(d.vars)) {
		fmt.Fprintf(&profile, "export %s=\"${%s:-%s}\"\n", key, key, d.vars[key])
		fmt.Fprintf(&environment, "%s=${%s:-%s}\n", key, key, d.vars[key])
	}
	const head = "# Written by vitrine trust install, removed by vitrine trust uninstall.\n"
	if err := d.m.write(shell, []byte(head+profile.String())); err != nil {
		return err
	}
	return d.m.write(systemd, []byte(head+environment.String()))
}

func (d *dropin) uninstall() error {
	shell, systemd := d.files()
	if err := d.m.remove(shell); err != nil {
		return err
	}
	return d.m.remove(systemd)
}

// command makes a command with the environment of somebody who logs in now.
func (d *dropin) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := d.m.command(ctx, program, args...)
	cmd.Env = cmd.Environ()
	shell, _ := d.files()
	if !d.m.exists(shell) {
		return cmd
	}
	for key, value := range d.vars {
		if variable(cmd.Env, key) == "" {
			cmd.Env = append(cmd.Env, key+"="+value)
		}
	}
	return cmd
}

// variable is the value that an environment has.
func variable(env []string, key string) (value string) {
	for _, v := range env {
		if name, text, _ := strings.Cut(v, "="); name == key {
			value = text
		}
	}
	return value
}

// hint says what those have to do who have logged in before.
func (d *dropin) hint() string {
	for key := range d.vars {
		if os.Getenv(key) == "" {
			shell, _ := d.files()
			return "log in again, or: . " + shell + "; give services the same variables (systemctl edit)"
		}
	}
	return "restart programs that run"
}
