package main

import (
	_ "embed"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/vitrine-ndr/vitrine/internal/command"
	"github.com/vitrine-ndr/vitrine/internal/terminal"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority"
)

// firstConfig is the configuration that a trial begins with.
//
//go:embed gateway.yaml
var firstConfig []byte

func newTrialCA() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "trial-ca",
		Short: "Make an authority and a configuration for trying the gateway",
		Long: `Write an authority that is made for a trial (ca.pem, ca.key) and a first configuration (gateway.yaml) into a folder. The authority is valid for
90 days, says in its name that it is for a trial, and is made once: where there is one, nothing is changed.`,
		Args: command.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return makeTrialCA(cmd.OutOrStdout(), dir, time.Now()) },
	}
	cmd.Flags().StringVar(&dir, "dir", "gateway", "`FOLDER` to write to; made if it is not there")
	return cmd
}

func makeTrialCA(out io.Writer, dir string, now time.Time) error {
	host, _ := os.Hostname() // an authority without it is one all the same
	a, key, err := authority.NewTrial(host, now)
	if err != nil {
		return err
	}
	secret, err := authority.Seal(key, nil)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Root().Raw})
	files := []trialFile{{"ca.key", secret, 0o600}, {"ca.pem", cert, 0o644}, {"gateway.yaml", firstConfig, 0o644}}
	for _, f := range files {
		if _, err := os.Lstat(filepath.Join(dir, f.name)); err == nil {
			return fmt.Errorf("%s is there already: a trial authority is made once; choose another folder", filepath.Join(dir, f.name))
		}
	}
	for _, f := range files {
		if err := f.write(dir); err != nil {
			return err
		}
	}
	path := func(name string) string { return terminal.Escape(filepath.Join(dir, name)) }
	fmt.Fprintf(out, "%s is valid until %s: for a trial, not for production.\n\n", terminal.Escape(a.String()), a.Expires().Format(time.DateOnly))
	fmt.Fprintf(out, "  vitrine-agent gateway --config %s\n", path("gateway.yaml"))
	fmt.Fprintf(out, "  curl --cacert %s -x http://127.0.0.1:3128 https://example.com/\n\n", path("ca.pem"))
	_, err = fmt.Fprintf(out, "Whoever has %s can pretend to be any server to whom trusts %s: keep it.\n", path("ca.key"), path("ca.pem"))
	return err
}

// trialFile is a file of a trial.
type trialFile struct {
	name string
	text []byte
	mode os.FileMode
}

// write writes the file, which must not be there.
func (f trialFile) write(dir string) error {
	file, err := os.OpenFile(filepath.Join(dir, f.name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode)
	if err != nil {
		return err
	}
	_, err = file.Write(f.text)
	return errors.Join(err, file.Close())
}
