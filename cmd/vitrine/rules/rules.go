// Package rules is the command vitrine rules: it lists, checks and tests files of rules about requests. A folder comes in, what is in it and
// what is wrong with it goes out. It changes nothing and asks no server.
package rules

import (
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/vitrine-ndr/vitrine/detect"
	"github.com/vitrine-ndr/vitrine/internal/command"
	"github.com/vitrine-ndr/vitrine/internal/terminal"
)

// New returns the command.
func New() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "List, check and test rules about requests",
		Long: `Rules say which requests the gateway tells of or blocks. They lie in files that end in .yaml; docs/gateway.md explains them.
Without a folder, list shows the applications that rules can name.`,
		Args: command.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		&cobra.Command{Use: "list [DIR]", Short: "List the rules in a folder, or the applications", Args: command.Args(cobra.MaximumNArgs(1)), RunE: list},
		&cobra.Command{Use: "check DIR", Short: "Check that the rules in a folder can be read", Args: command.Args(cobra.ExactArgs(1)), RunE: check},
		&cobra.Command{Use: "test DIR", Short: "Try the examples that the rules in a folder have", Args: command.Args(cobra.ExactArgs(1)), RunE: test},
	)
	return cmd
}

// compile reads the rules in a folder. What is wrong with them is wrong usage.
func compile(cmd *cobra.Command, dir string) (*detect.Engine, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, command.Usage(cmd, err)
	}
	e, err := detect.Compile(os.DirFS(dir))
	if err != nil {
		return nil, command.Usage(cmd, err)
	}
	return e, nil
}

func list(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return listApplications(cmd)
	}
	e, err := compile(cmd, args[0])
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "RULE\tACTION\tSEVERITY\tPOLICIES\tDESCRIPTION")
	for _, r := range e.Rules() {
		policies := "all"
		if len(r.Policies) > 0 {
			policies = strings.Join(r.Policies, ", ")
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\n", r.ID, r.Action, r.Severity, terminal.Escape(policies), terminal.Escape(r.Description))
	}
	return w.Flush()
}

func listApplications(cmd *cobra.Command) error {
	all, err := detect.Applications()
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "APPLICATION\tKIND\tNAME")
	for _, a := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\n", a.ID, a.Kind, a.Name)
	}
	return w.Flush()
}

func check(cmd *cobra.Command, args []string) error {
	e, err := compile(cmd, args[0])
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d rules can be read\n", len(e.Rules()))
	return err
}

func test(cmd *cobra.Command, args []string) error {
	e, err := compile(cmd, args[0])
	if err != nil {
		return err
	}
	n, err := e.Test()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d rules, %d examples: all as they should be\n", len(e.Rules()), n)
	return err
}
