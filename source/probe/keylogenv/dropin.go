package keylogenv

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// variable is what programs look for, and where they write their keys (RFC 9850, section 1).
const variable = "SSLKEYLOGFILE"

// marker is in the first lines of every file that is ours to change and to remove.
const marker = `# managed by vitrine-agent: "vitrine-agent keylog off" removes this file`

// madeFolder follows the marker where the folder was made for the file, to be removed with it.
const madeFolder = " and its folder"

// dropIn is a file that tells a part of the system of the key file, or keeps the key file there.
type dropIn struct {
	path     string // on this machine
	services bool   // it is for services
	mode     fs.FileMode
	head     string // before the marker
	text     string // after it
}

// guarded is for shells: it names the key file to those who can write to it, and have no other one.
const guarded = `if [ -z "${SSLKEYLOGFILE-}" ] && [ -w {file} ]; then
	`

// profile is the drop-in that also tells which key file is set up.
const profile = "etc/profile.d/vitrine-keylog.sh"

// dropIns returns the files that are wanted, and those that are not to be there. Only the first one is for machines without systemd.
func (s *Setup) dropIns() (wanted, unwanted []dropIn) {
	unit := unitName(s.folder())
	at := func(d dropIn) dropIn {
		d.path = s.path(d.path)
		d.text = strings.NewReplacer("{file}", s.cfg.File, "{folder}", s.folder(), "{unit}", unit, "{size}", fmt.Sprint(Limit), "{source}", fileSystem).Replace(d.text)
		return d
	}
	wanted = []dropIn{
		at(dropIn{path: profile, mode: 0o644, text: "# Programs of login shells write their TLS session keys to the sensor's file.\n" +
			guarded + "export SSLKEYLOGFILE={file}\nfi\n"}),
		at(dropIn{path: "etc/systemd/user-environment-generators/50-vitrine-keylog", mode: 0o755, head: "#!/bin/sh\n", text: "# The same for the services of users and for desktop sessions.\n" +
			guarded + "echo SSLKEYLOGFILE={file}\nfi\n"}),
		// The two units give the key file a file system of its own at boot, so that it can't outgrow it.
		at(dropIn{path: "etc/systemd/system/" + unit, mode: 0o644, text: "[Unit]\nDescription=TLS session keys of this machine's programs\n\n" +
			"[Mount]\nWhat={source}\nWhere={folder}\nType=tmpfs\nOptions=size={size},mode=0711,nodev,nosuid,noexec\n"}),
		at(dropIn{path: "etc/systemd/system/local-fs.target.d/50-vitrine-keylog.conf", mode: 0o644, text: "[Unit]\nWants={unit}\n"}),
		// f makes the file if it is missing; h sets the attribute "append only", and is skipped by file systems without it.
		at(dropIn{path: "etc/tmpfiles.d/vitrine-keylog.conf", mode: 0o644, text: "f {file} 0622 root root -\nh {file} - - - - +a\n"}),
	}
	services := at(dropIn{path: "etc/systemd/system.conf.d/50-vitrine-keylog.conf", services: true, mode: 0o644, text: "[Manager]\nDefaultEnvironment=SSLKEYLOGFILE={file}\n"})
	switch {
	case !s.hasSystemd():
		return wanted[:1], append(wanted[1:], services)
	case s.cfg.Services:
		return append(wanted, services), nil
	}
	return wanted, []dropIn{services}
}

func (s *Setup) hasSystemd() bool {
	info, err := os.Stat(s.path("etc/systemd"))
	return err == nil && info.IsDir()
}

// unitName is the name that systemd wants for the mount unit of a folder (systemd.unit(5), string escaping for paths).
func unitName(folder string) string {
	var b strings.Builder
	for i, c := range []byte(strings.Trim(folder, "/")) {
		switch {
		case c == '/':
			b.WriteByte('-')
		case c == '-', c == '.' && i == 0:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String() + ".mount"
}

// installedFile returns the key file that a drop-in names, or nothing if there is none.
func (s *Setup) installedFile() (string, error) {
	text, err := os.ReadFile(s.path(profile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read drop-in: %w", err)
	}
	_, after, found := bytes.Cut(text, []byte("export "+variable+"="))
	if !found || !isOurs(text) {
		return "", nil
	}
	file, _, _ := bytes.Cut(after, []byte("\n"))
	return string(file), checkPath(string(file))
}

// isOurs tells whether a file has the marker in its first lines.
func isOurs(text []byte) bool {
	return bytes.HasPrefix(bytes.TrimPrefix(text, []byte("#!/bin/sh\n")), []byte(marker))
}

// read returns what is in the file if it is ours. It follows no link: what somebody else has put there is not ours.
func (d dropIn) read() (text []byte, err error) {
	info, err := os.Lstat(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && info.Mode().IsRegular() {
		text, err = os.ReadFile(d.path)
	}
	if err != nil {
		return nil, fmt.Errorf("read drop-in: %w", err)
	}
	if !isOurs(text) {
		return nil, fmt.Errorf("%s: %w", d.path, errForeign)
	}
	return text, nil
}

// errForeign tells that something is in the way.
var errForeign = errors.New("there already and not ours: move it away if it is not needed")

// write makes the file, all of it or nothing, and tells whether it had to.
func (d dropIn) write() (changed bool, err error) {
	old, err := d.read()
	if err != nil {
		return false, err
	}
	made, err := d.makeFolder()
	if err != nil {
		return false, err
	}
	made = made || d.madeFolder(old)
	text := d.head + marker
	if made {
		text += madeFolder
	}
	text += "\n" + d.text
	if info, err := os.Stat(d.path); err == nil && info.Mode().Perm() == d.mode && string(old) == text {
		return false, nil
	}
	if err := replace(d.path, text, d.mode); err != nil {
		return false, fmt.Errorf("write drop-in: %w", err)
	}
	return true, nil
}

// makeFolder makes the folder of the file if it is missing.
func (d dropIn) makeFolder() (made bool, err error) {
	folder := filepath.Dir(d.path)
	if _, err := os.Stat(folder); err == nil {
		return false, nil
	}
	if err := os.Mkdir(folder, 0o755); err != nil {
		return false, fmt.Errorf("make folder of drop-in: %w", err)
	}
	return true, nil
}

// replace writes a file next to its place and moves it there. The names of such files begin with a dot: nobody reads them.
func replace(path, text string, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".vitrine-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// remove removes the file if it is ours, with the folder if that was made for it and nothing else has come into it.
func (d dropIn) remove() (changed bool, err error) {
	text, err := d.read()
	if errors.Is(err, errForeign) || text == nil && err == nil {
		return false, nil
	}
	if err == nil {
		err = os.Remove(d.path)
	}
	if err != nil {
		return false, fmt.Errorf("remove drop-in: %w", err)
	}
	if d.madeFolder(text) {
		_ = os.Remove(filepath.Dir(d.path)) // fails if something else is in it, and then it stays
	}
	return true, nil
}

// madeFolder tells whether the folder was made for the file, by what is in that.
func (d dropIn) madeFolder(text []byte) bool {
	return bytes.HasPrefix(text, []byte(d.head+marker+madeFolder))
}
