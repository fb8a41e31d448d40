// Command fetch gets libchdb, the embedded ClickHouse engine, from the npm registry, checks it against the hash that is
// pinned here, and puts libchdb.so where it is asked to. It does nothing if the pinned version is there already.
//
//	go run ./internal/chdb/fetch -cache .cache -o bin/libchdb.so
//
// It needs npm, the network once, and 1 GB of disk. The unpacked library stays in the cache folder; the output is a hard
// link to it, or a copy where a link is not possible. It prints nothing but errors and what it downloads.
package main

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// version is the release of chDB that the schema and the tests are made for.
const version = "26.7.3-stable.1"

// pinned are the npm package and the SHA-512 of its archive, as npm's integrity field gives it, for each architecture.
var pinned = map[string]struct{ name, integrity string }{
	"amd64": {"@chdb/lib-linux-x64-gnu", "XP97mMqnc5tZpKQywR8N7cLTsHNiTmHr30pC5mzo3jWmukjKn2IBa60c2B/gWUNcuFjOMjWoorQICCqBVj5wpw=="},
}

const library = "package/libchdb.so" // its name in the archive

func main() {
	cache := flag.String("cache", ".cache", "folder for the unpacked library")
	out := flag.String("o", "", "where to put libchdb.so; by default only into the cache")
	printPath := flag.Bool("print", false, "print the library's path in the cache")
	flag.Parse()
	path, err := fetch(*cache)
	if err == nil && *out != "" {
		err = place(path, *out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fetch libchdb:", err)
		os.Exit(1)
	}
	if *printPath {
		fmt.Println(path)
	}
}

// fetch returns the path of the library in the cache, which is only ever there whole and checked.
func fetch(cache string) (string, error) {
	pin, ok := pinned[runtime.GOARCH]
	if !ok || runtime.GOOS != "linux" {
		return "", fmt.Errorf("there is no pinned build for %s/%s: use a ClickHouse server instead", runtime.GOOS, runtime.GOARCH)
	}
	path := filepath.Join(cache, fmt.Sprintf("libchdb-%s-%s.so", version, runtime.GOARCH))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if _, err := exec.LookPath("npm"); err != nil {
		return "", errors.New("npm is not installed: install Node.js with npm, then try again")
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("make cache folder: %w", err)
	}
	tmp, err := os.MkdirTemp(cache, "fetch-*")
	if err != nil {
		return "", fmt.Errorf("make temporary folder: %w", err)
	}
	defer os.RemoveAll(tmp)
	archive, err := download(tmp, pin.name+"@"+version)
	if err != nil {
		return "", err
	}
	so := filepath.Join(tmp, "libchdb.so")
	if err := check(archive, pin.integrity); err != nil {
		return "", err
	}
	if err := unpack(archive, so); err != nil {
		return "", err
	}
	if err := os.Rename(so, path); err != nil {
		return "", fmt.Errorf("keep library: %w", err)
	}
	return path, nil
}

func download(dir, spec string) (string, error) {
	fmt.Fprintf(os.Stderr, "downloading %s (180 MB)\n", spec)
	npm := exec.Command("npm", "pack", "--silent", "--pack-destination", dir, spec)
	npm.Stderr = os.Stderr
	if err := npm.Run(); err != nil {
		return "", fmt.Errorf("download %s with npm pack (is the npm registry within reach?): %w", spec, err)
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("npm pack %s left %d archives", spec, len(found))
	}
	return found[0], nil
}

func check(archive, integrity string) error {
	f, err := os.Open(archive)
	if err != nil {
		return fmt.Errorf("open archive: %w", err)
	}
	defer f.Close()
	h := sha512.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("read archive: %w", err)
	}
	if got := base64.StdEncoding.EncodeToString(h.Sum(nil)); got != integrity {
		return fmt.Errorf("the archive is not the pinned one: SHA-512 %s, want %s", got, integrity)
	}
	return nil
}

// unpack writes the library that is in the archive to path.
func unpack(archive, path string) error {
	f, err := os.Open(archive)
	if err != nil {
		return fmt.Errorf("open archive: %w", err)
	}
	defer f.Close()
	zr, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("unpack archive: %w", err)
	}
	for tr := tar.NewReader(zr); ; {
		h, err := tr.Next()
		if err != nil {
			return fmt.Errorf("find %s in archive: %w", library, err)
		}
		if h.Name == library {
			return write(tr, path)
		}
	}
}

func write(r io.Reader, path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	if err != nil {
		return fmt.Errorf("make library: %w", err)
	}
	_, err = io.Copy(f, r)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write library: %w", err)
	}
	return nil
}

// place makes out the same file as path, or a copy of it.
func place(path, out string) error {
	from, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("find library: %w", err)
	}
	if to, err := os.Stat(out); err == nil && os.SameFile(from, to) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return fmt.Errorf("make output folder: %w", err)
	}
	tmp := out + ".new"
	os.Remove(tmp)
	if err := os.Link(path, tmp); err != nil {
		f, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("open library: %w", err)
		}
		defer f.Close()
		if err := write(f, tmp); err != nil {
			return err
		}
	}
	if err := os.Rename(tmp, out); err != nil {
		return fmt.Errorf("place library: %w", err)
	}
	return nil
}
