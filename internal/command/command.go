// Package command is what the command lines of all programs have in common: how they are called, how they fail, and what they say then.
// It knows nothing of what commands do.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/vitrine-ndr/vitrine/internal/terminal"
)

// Exit statuses.
const (
	exitFailed = 1
	exitUsage  = 2
)

// Execute runs the command that the arguments name until it is done or the program is told to stop. It returns the exit status.
func Execute(root *cobra.Command, args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	report(os.Stderr, root.Name(), err)
	if _, ok := errors.AsType[*UsageError](err); ok {
		return exitUsage
	}
	return exitFailed
}

// NewRoot returns the command that holds the others.
func NewRoot(name, short, version string, commands ...*cobra.Command) *cobra.Command {
	root := &cobra.Command{
		Use:           name,
		Short:         short,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          Args(cobra.NoArgs),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate(name + " {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return Usage(cmd, err) })
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(commands...)
	root.AddCommand(newVersion(name, version))
	return root
}

func newVersion(name, version string) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), name, version)
			return err
		},
	}
}

// UsageError is what a person called wrongly.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }

// Usage makes an error one of wrong usage, and adds where help is.
func Usage(cmd *cobra.Command, err error) error {
	return &UsageError{fmt.Errorf("%w\nsee %s --help", err, cmd.CommandPath())}
}

// Args makes what check finds wrong usage.
func Args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return Usage(cmd, err)
		}
		return nil
	}
}

// report prints one line for each error that was joined. File names and what servers say may be hostile.
func report(w io.Writer, program string, err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			report(w, program, e)
		}
		return
	}
	fmt.Fprintln(w, program+":", EscapeLines(err.Error()))
}

// EscapeLines keeps a text's lines, and nothing else that a terminal could obey.
func EscapeLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = terminal.Escape(line)
	}
	return strings.Join(lines, "\n")
}

// Version returns what the linker set, or else what the build recorded.
func Version(linked string) string {
	if linked != "" {
		return linked
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}
