// Package trust is the commands vitrine trust and what is below it: flags and files go in, tables and lines come out. What is done to stores
// is told in internal/trust.
package trust

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/vitrine-ndr/vitrine/internal/command"
	"github.com/vitrine-ndr/vitrine/internal/terminal"
	"github.com/vitrine-ndr/vitrine/internal/trust"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority"
)

// options are the flags of vitrine trust and what is below it.
type options struct {
	ca, format string
	dry        bool
	printed    trust.Printed
}

// New returns the command that holds the others.
func New() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "Make this machine's programs trust the gateway's root certificate",
		Long: `Programs behind an inspecting gateway must trust its root certificate, and look for such certificates in different stores: the system's, Java's,
Node.js's, those of browsers. These commands know them. docs/trust.md says what is done for each.`,
		Example: `  sudo vitrine trust install --ca ca.pem
  vitrine trust verify --ca ca.pem
  sudo vitrine trust uninstall --ca ca.pem
  vitrine trust print --ca ca.pem --format windows > trust.ps1`,
		Args: command.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&o.ca, "ca", "", "`FILE` of the root certificate, in PEM or DER")
	cmd.AddCommand(newInstall(&o), newVerify(&o), newUninstall(&o), newPrint(&o), newAskGo())
	return cmd
}

func newInstall(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "install --ca FILE",
		Short: "Make every store of this machine trust the certificate",
		Long: `Put the certificate into every store that is there and does not trust it yet, and tell for each what was done and what running programs need before
they notice. It can be repeated. As root, it is for the whole machine and all its users; otherwise for what the user may change.
Refused is a certificate that is not a root's, has expired, or is weak.`,
		Args: command.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return change(cmd, o, (*trust.Machine).Install, authority.CheckRoot)
		},
	}
	addOutput(cmd, o)
	cmd.Flags().BoolVar(&o.dry, "dry-run", false, "change nothing, and tell what would be done")
	return cmd
}

func newVerify(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify --ca FILE",
		Short: "Ask every store of this machine whether it trusts the certificate",
		Long: `Ask every store, and programs that have ways of their own, whether they trust the certificate: trusted, not trusted, or not there, and why.
The exit status is 1 if something that is there does not.`,
		Args: command.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return change(cmd, o, (*trust.Machine).Verify, authority.CheckRoot)
		},
	}
	addOutput(cmd, o)
	return cmd
}

func newUninstall(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "uninstall --ca FILE",
		Short: "Undo what install did",
		Long: `Take out of every store what install has put there, whole or in part. Entries are found by the certificate's fingerprint; those that others have made
stay, and are told.`,
		Args: command.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return change(cmd, o, (*trust.Machine).Uninstall, func(*x509.Certificate, time.Time) error { return nil }) // an expired one goes too
		},
	}
	addOutput(cmd, o)
	cmd.Flags().BoolVar(&o.dry, "dry-run", false, "change nothing, and tell what would be done")
	return cmd
}

func addOutput(cmd *cobra.Command, o *options) {
	cmd.Flags().StringVarP(&o.format, "output", "o", "table", "`FORMAT` of the result: json or table")
}

// change does something with all stores, for a certificate that was checked.
func change(cmd *cobra.Command, o *options, do func(*trust.Machine, context.Context, trust.Root) []trust.Result, check func(*x509.Certificate, time.Time) error) error {
	if o.format != "json" && o.format != "table" {
		return command.Usage(cmd, fmt.Errorf("unknown output format %q: want json or table", o.format))
	}
	chain, err := readChain(cmd, o.ca)
	if err != nil {
		return err
	}
	root := trust.Root{Certificate: chain[len(chain)-1]}
	if err := check(root.Certificate, time.Now()); err != nil {
		return fmt.Errorf("%s: %w", o.ca, err)
	}
	m, err := trust.Local()
	if err != nil {
		return err
	}
	m.Dry = o.dry
	results := do(m, cmd.Context(), root)
	if o.format == "json" {
		err = printLines(cmd.OutOrStdout(), results)
	} else {
		err = printTable(cmd.OutOrStdout(), results)
	}
	return errors.Join(err, failed(results))
}

// maxCAFile bounds what is read of a certificate's file.
const maxCAFile = 1 << 20

func readChain(cmd *cobra.Command, file string) ([]*x509.Certificate, error) {
	if file == "" {
		return nil, command.Usage(cmd, errors.New("--ca is missing: name the file of the gateway's root certificate (of a trial: ca.pem)"))
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxCAFile))
	if err != nil {
		return nil, err
	}
	chain, err := authority.ReadChain(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return chain, nil
}

// failed names the stores that are not as they were asked to be.
func failed(results []trust.Result) error {
	var names []string
	for _, r := range results {
		if r.Failed {
			names = append(names, r.Store)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d stores are not as they should be: %s", len(names), len(results), strings.Join(names, ", "))
}

func printLines(out io.Writer, results []trust.Result) error {
	for _, r := range results {
		text, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("print store: %w", err)
		}
		if _, err := fmt.Fprintf(out, "%s\n", terminal.AppendJSON(nil, text)); err != nil {
			return fmt.Errorf("print store: %w", err)
		}
	}
	return nil
}

// printTable prints a line for each store and, below it, what was done.
func printTable(out io.Writer, results []trust.Result) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "STORE\tSTATE\tWHY") // errors come with Flush
	for _, r := range results {
		state := string(r.State)
		if r.Failed {
			state += " (!)"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", terminal.Escape(r.Store), state, strings.Join(strings.Fields(terminal.Escape(r.Detail)), " "))
		for _, c := range r.Changes {
			fmt.Fprintf(w, "\t\t+ %s\n", terminal.Escape(c))
		}
		if r.Restart != "" {
			fmt.Fprintf(w, "\t\t> %s\n", terminal.Escape(r.Restart))
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print stores: %w", err)
	}
	return nil
}

func newPrint(o *options) *cobra.Command {
	p := &o.printed
	cmd := &cobra.Command{
		Use:   "print --ca FILE [flags]",
		Short: "Print the certificate in another form, or a script that installs it elsewhere",
		Long: `Print the root certificate, for programs and machines that install cannot reach:

  crt, der         the certificate
  chain, pkcs7     with those below it that FILE has
  jks              a trust store for Java, with the password changeit
  windows, macos   a script that installs it, and undoes that
  kubernetes       a ConfigMap or Secret with it, and with the public roots of this machine
  kubernetes-pod   a patch that has a pod's programs trust it
  kubernetes-node  a DaemonSet that has nodes trust it`,
		Args: command.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return printForm(cmd, o) },
	}
	f := cmd.Flags()
	f.StringVar(&p.Format, "format", "crt", "`FORM`: "+strings.Join(trust.Formats, ", "))
	f.StringVar(&p.Namespace, "namespace", "default", "`NAME` of the Kubernetes namespace")
	f.BoolVar(&p.Secret, "secret", false, "for Kubernetes: a Secret instead of a ConfigMap")
	f.StringVar(&p.Container, "container", "app", "with kubernetes-pod: `NAME` of the container")
	f.StringVar(&p.Image, "image", "busybox:stable", "with kubernetes-node: an `IMAGE` with a shell")
	return cmd
}

// label is how Kubernetes names things (RFC 1123), image how registries do: neither can become YAML.
var (
	label = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	image = regexp.MustCompile(`^[a-zA-Z0-9][-a-zA-Z0-9._/:@]{0,254}$`)
)

func printForm(cmd *cobra.Command, o *options) error {
	p := &o.printed
	switch {
	case !slices.Contains(trust.Formats, p.Format):
		return command.Usage(cmd, fmt.Errorf("unknown form %q: want one of %s", p.Format, strings.Join(trust.Formats, ", ")))
	case !label.MatchString(p.Namespace) || !label.MatchString(p.Container):
		return command.Usage(cmd, errors.New("--namespace and --container must be names as Kubernetes has them: lower-case letters, digits and -"))
	case !image.MatchString(p.Image):
		return command.Usage(cmd, fmt.Errorf("--image %q is not the name of an image", p.Image))
	}
	var err error
	if p.Chain, err = readChain(cmd, o.ca); err != nil {
		return err
	}
	if err := authority.CheckRoot(p.Chain[len(p.Chain)-1], time.Now()); err != nil {
		return fmt.Errorf("%s: %w", o.ca, err)
	}
	if p.Format == "kubernetes" {
		m, err := trust.Local()
		if err != nil {
			return err
		}
		if p.Bundle, err = m.Bundle(); err != nil {
			return err
		}
	}
	text, err := trust.Print(*p)
	if err != nil {
		return err
	}
	_, err = cmd.OutOrStdout().Write(text)
	return err
}

// newAskGo is what the other commands run to ask Go's TLS. It prints nothing for a certificate that is trusted, or else the reason.
func newAskGo() *cobra.Command {
	return &cobra.Command{
		Use: "ask-go", Hidden: true, Args: command.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxCAFile))
			if err != nil {
				return err
			}
			chain, err := authority.ReadChain(text)
			if err != nil {
				return err
			}
			if err := trust.GoTrusts(trust.Root{Certificate: chain[len(chain)-1]}); err != nil {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), err)
				return err
			}
			return nil
		},
	}
}
