package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/vitrine-ndr/vitrine/internal/command"
	"github.com/vitrine-ndr/vitrine/internal/terminal"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority"
	"github.com/vitrine-ndr/vitrine/source/gateway/ech"
)

func newECH() *cobra.Command {
	var name, file string
	cmd := &cobra.Command{
		Use:   "ech --name NAME",
		Short: "Make a key by which clients encrypt their ClientHellos to the gateway",
		Long: `Write a private key and its configuration into a file for ech.keys, and print what HTTPS records of DNS have to say, so that clients encrypt to
the gateway whom they want to reach. The name stands outside, for everybody to see; nothing may be served under it. Where the file is there already,
nothing is changed, and its record is printed.`,
		Args: command.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if name == "" {
				return command.Usage(cmd, errors.New("--name is needed, such as gateway.example"))
			}
			return makeECH(cmd.OutOrStdout(), name, file)
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "`NAME` outside of encrypted hellos")
	cmd.Flags().StringVar(&file, "out", "ech.pem", "`FILE` to write to")
	return cmd
}

func makeECH(out io.Writer, name, file string) error {
	k, err := keyOf(name, file)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "; %s opens what clients encrypt by it: in the gateway's configuration, ech: {keys: [%s]}\n", terminal.Escape(file), terminal.Escape(file))
	fmt.Fprintf(out, "; for each name whose connections go through the gateway, in the DNS that its clients ask:\n")
	_, err = fmt.Fprintf(out, "www.example. 300 IN HTTPS 1 . alpn=h2,http/1.1 %s\n", k.Record())
	return err
}

// keyOf returns the key in the file, which is made if it is not there.
func keyOf(name, file string) (*ech.Key, error) {
	text, err := authority.ReadSecret(file)
	if errors.Is(err, fs.ErrNotExist) {
		return writeKey(name, file)
	}
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	k, err := ech.Parse(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", file, err)
	case k.Name != name:
		return nil, fmt.Errorf("%s is there already, for %s: choose another file with --out", file, k.Name)
	}
	return k, nil
}

func writeKey(name, file string) (*ech.Key, error) {
	k, err := ech.NewKey(name)
	if err != nil {
		return nil, err
	}
	text, err := k.PEM()
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("write key: %w", err)
	}
	_, err = f.Write(text)
	return k, errors.Join(err, f.Close())
}
