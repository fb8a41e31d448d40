package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/command"
	"github.com/vitrine-ndr/vitrine/internal/terminal"
	"github.com/vitrine-ndr/vitrine/source"
	"github.com/vitrine-ndr/vitrine/source/probe"
	"github.com/vitrine-ndr/vitrine/source/probe/keylogenv"
)

func newKeylog() *cobra.Command {
	var cfg keylogenv.Config
	cmd := &cobra.Command{
		Use:   "keylog",
		Short: "Have programs write their session keys, where the probe cannot work",
		Long: `Where the kernel has no eBPF, or does not let it be used, programs that honour SSLKEYLOGFILE can still be seen into: curl, Python,
and others that use OpenSSL, GnuTLS or NSS so. This command tells them of a file for their TLS session keys, by drop-ins that it can
remove again without a trace. "vitrine up" on this machine reads the file, and decrypts what its sensor captures.

The mode is off unless switched on. The keys open recorded traffic: they lie in memory, where root alone can read them.`,
		Args: command.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	f := cmd.PersistentFlags()
	f.StringVar(&cfg.Root, "root", "", "work on the system in the `FOLDER`, not on this one")
	f.StringVar(&cfg.File, "file", "", "key `FILE`, in a folder of its own (default \""+keylogenv.DefaultFile+"\")")
	on := keylogCommand("on", "Tell programs of the key file", &cfg, keylogOn)
	on.Flags().BoolVar(&cfg.Services, "services", false, "tell the system's services too; read docs/keylog-mode.md before")
	cmd.AddCommand(on,
		keylogCommand("off", "Remove the drop-ins and the keys", &cfg, keylogOff),
		keylogCommand("status", "Tell how things stand, and whether the probe could work here", &cfg, keylogStatus))
	return cmd
}

// keylogCommand makes one of the commands, which all need the set-up.
func keylogCommand(name, short string, cfg *keylogenv.Config, do func(context.Context, io.Writer, *keylogenv.Setup) error) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short, Args: command.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := keylogenv.New(*cfg)
			if err != nil {
				return command.Usage(cmd, err)
			}
			err = do(cmd.Context(), cmd.OutOrStdout(), s)
			if errors.Is(err, os.ErrPermission) && os.Geteuid() != 0 {
				return fmt.Errorf("%w: this needs root", err)
			}
			return err
		},
	}
}

func keylogOn(_ context.Context, out io.Writer, s *keylogenv.Setup) error {
	changes, err := s.On()
	printChanges(out, changes, err)
	if err != nil || len(changes) == 0 {
		return err
	}
	status, err := s.Status()
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "Programs write their keys from the next login on. Those that run already go on as before.")
	if status.Services {
		fmt.Fprintln(out, "Services do after: systemctl daemon-reexec, and a restart of each.")
	}
	return nil
}

func keylogOff(_ context.Context, out io.Writer, s *keylogenv.Setup) error {
	before, err := s.Status()
	if err != nil {
		return err
	}
	changes, err := s.Off()
	printChanges(out, changes, err)
	if err == nil && before.Services {
		fmt.Fprintln(out, "systemd forgets the variable after: systemctl daemon-reexec")
	}
	return err
}

func printChanges(out io.Writer, changes []string, err error) {
	for _, c := range changes {
		fmt.Fprintln(out, terminal.Escape(c))
	}
	if len(changes) == 0 && err == nil {
		fmt.Fprintln(out, "nothing to change")
	}
}

func keylogStatus(ctx context.Context, out io.Writer, s *keylogenv.Setup) error {
	status, err := s.Status()
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\n", name, terminal.Escape(fmt.Sprintf(format, args...)))
	}
	line("probe", "%s", probeHere(ctx))
	state := "off"
	switch {
	case status.Services:
		state = "on, services too"
	case status.On:
		state = "on"
	}
	line("key-log mode", "%s", state)
	line("key file", "%s: %s", status.File, describe(status.Keys))
	for _, path := range status.DropIns {
		line("drop-in", "%s", path)
	}
	line("programs", "%d of those that run have been told of the key file", len(status.Holders))
	return w.Flush()
}

// probeHere tells whether the probe, which is better in every way, could be used instead.
func probeHere(ctx context.Context) string {
	release := "of unknown version"
	var name unix.Utsname
	if err := unix.Uname(&name); err == nil {
		release = unix.ByteSliceToString(name.Release[:])
	}
	switch err := tryProbe(ctx); {
	case err == nil:
		return fmt.Sprintf("works on this kernel, %s: no key-log mode is needed", release)
	case os.Geteuid() != 0:
		return fmt.Sprintf("root can find out whether it works on this kernel, %s", release)
	default:
		return fmt.Sprintf("does not work on this kernel, %s: %v", release, err)
	}
}

// tryProbe starts the probe, and ends it as soon as everything that runs is hooked.
func tryProbe(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p, err := probe.New(probe.Config{Ready: cancel}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	return p.Run(ctx, nowhere{})
}

// nowhere takes what a probe sees that is only tried.
type nowhere struct{}

func (nowhere) Open(*flow.Conn) source.Stream                           { return nowhere{} }
func (nowhere) Data(flow.Direction, time.Time, []byte) (v flow.Verdict) { return v }
func (nowhere) Gap(flow.Direction, time.Time, int)                      {}
func (nowhere) Close(time.Time)                                         {}

func describe(k keylogenv.KeyFile) string {
	if !k.There {
		return "not there"
	}
	facts := []string{fmt.Sprintf("%d bytes", k.Size)}
	if k.Mounted {
		facts = append(facts, fmt.Sprintf("at most %d MiB, in memory", keylogenv.Limit>>20))
	} else {
		facts = append(facts, "without a limit: switch the mode on again")
	}
	if k.AppendOnly {
		facts = append(facts, "only root can empty it")
	} else {
		facts = append(facts, "any user can empty it: the kernel's memory file system has no append-only attribute")
	}
	return strings.Join(facts, ", ")
}
