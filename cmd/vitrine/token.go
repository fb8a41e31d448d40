package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/vitrine-ndr/vitrine/internal/command"
	"github.com/vitrine-ndr/vitrine/internal/datafolder"
	"github.com/vitrine-ndr/vitrine/internal/terminal"
	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/server/client"
)

const tokensPath = "/api/v1/tokens"

// roles are what a token may be, from the least.
var roles = []string{"viewer", "analyst", "admin"}

func newToken() *cobra.Command {
	var ca string
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make, list and revoke API tokens",
		Long: `Tokens let programs in: scripts, and this command line on other machines.
VITRINE_SERVER and VITRINE_TOKEN name the server; without them it is the one that runs on this machine.`,
		Args: command.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&ca, "ca", "", "PEM `FILE` of the authorities or the certificate to trust")
	cmd.AddCommand(newTokenCreate(&ca), newTokenList(&ca), newTokenRevoke(&ca))
	return cmd
}

// tokenOptions are the flags of vitrine token create.
type tokenOptions struct {
	name, role string
	expires    time.Duration
}

func newTokenCreate(ca *string) *cobra.Command {
	var o tokenOptions
	cmd := &cobra.Command{
		Use:   "create --name NAME [flags]",
		Short: "Make a token and print it",
		Long: `Make a token and print it on the standard output. It is shown this once: keep it where secrets are kept.
A viewer sees which connections and transactions there were, an analyst also what was said in them, an admin everything.
A token can do no more than who makes it, and one that is made with another token ends with that one.`,
		Example: `  vitrine token create --name ci --role viewer --expires 720h > token`,
		Args:    command.Args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return createToken(cmd, *ca, &o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.name, "name", "", "`NAME` by which the audit trail and the list know it (required)")
	f.StringVar(&o.role, "role", roles[0], "`ROLE`: "+strings.Join(roles, ", "))
	f.DurationVar(&o.expires, "expires", 0, "how `LONG` it is valid, such as 720h; for ever without it")
	return cmd
}

func createToken(cmd *cobra.Command, ca string, o *tokenOptions) error {
	switch {
	case o.name == "":
		return command.Usage(cmd, errors.New("--name is missing: give the token a name to know it by"))
	case !slices.Contains(roles, o.role):
		return command.Usage(cmd, fmt.Errorf("unknown role %q: want one of %q", o.role, roles))
	case o.expires < 0 || o.expires == 0 && cmd.Flags().Changed("expires"):
		return command.Usage(cmd, errors.New("--expires must be more than 0"))
	}
	server, err := client.New(ca, datafolder.Candidates()...)
	if err != nil {
		return err
	}
	wanted := api.NewToken{Name: o.name, Role: o.role}
	if o.expires > 0 {
		end := time.Now().Add(o.expires)
		wanted.Expires = &end
	}
	var issued api.IssuedToken
	if err := server.Call(cmd.Context(), http.MethodPost, tokensPath, nil, wanted, &issued); err != nil {
		return refusedUse(cmd, err)
	}
	t := issued.Token
	fmt.Fprintf(cmd.ErrOrStderr(), "token %s (id %s, role %s) made; it %s and is shown this once only\n",
		terminal.Escape(t.Name), terminal.Escape(t.ID), terminal.Escape(t.Role), ending(t.Expires))
	_, err = fmt.Fprintln(cmd.OutOrStdout(), terminal.Escape(issued.Secret))
	return err
}

// refusedUse makes wrong usage of what the server finds wrong with the request.
func refusedUse(cmd *cobra.Command, err error) error {
	p, ok := errors.AsType[*client.Problem](err)
	if !ok || p.Status != http.StatusUnprocessableEntity {
		return err
	}
	text := p.Detail
	for _, e := range p.Errors {
		text += fmt.Sprintf("; %s: %s", strings.TrimPrefix(e.Location, "body."), e.Message)
	}
	return command.Usage(cmd, errors.New(text))
}

func ending(t *time.Time) string {
	if t == nil {
		return "never expires"
	}
	return "expires " + t.Local().Format(time.DateTime)
}

func newTokenList(ca *string) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List tokens",
		Long:  "Print the tokens that can be revoked: those of everybody for an admin, one's own for others. Secrets are not kept, so they are not shown.",
		Args:  command.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "json" && format != "table" {
				return command.Usage(cmd, fmt.Errorf("unknown output format %q: want json or table", format))
			}
			server, err := client.New(*ca, datafolder.Candidates()...)
			if err != nil {
				return err
			}
			var list api.Tokens
			if err := server.Get(cmd.Context(), tokensPath, nil, &list); err != nil {
				return err
			}
			if format == "json" {
				return printTokenLines(cmd.OutOrStdout(), list.Tokens)
			}
			return printTokenTable(cmd.OutOrStdout(), list.Tokens)
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", "table", "`FORMAT` of the list: json or table")
	return cmd
}

func printTokenLines(out io.Writer, tokens []api.Token) error {
	for _, t := range tokens {
		text, err := json.Marshal(t)
		if err != nil {
			return fmt.Errorf("print token: %w", err)
		}
		if _, err := fmt.Fprintf(out, "%s\n", terminal.AppendJSON(nil, text)); err != nil {
			return fmt.Errorf("print token: %w", err)
		}
	}
	return nil
}

func printTokenTable(out io.Writer, tokens []api.Token) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tROLE\tOWNER\tCREATED\tEXPIRES\tLAST USED") // errors come with Flush
	for _, t := range tokens {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", terminal.Escape(t.ID), terminal.Escape(t.Name), terminal.Escape(t.Role),
			terminal.Escape(cmp.Or(t.Owner, "-")), moment(&t.Created), moment(t.Expires), moment(t.LastUsed))
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print tokens: %w", err)
	}
	return nil
}

func moment(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return t.Local().Format(time.DateTime)
}

func newTokenRevoke(ca *string) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke ID",
		Short: "End a token at once",
		Long:  "End a token at once, and those that were made with it. vitrine token list shows the ids.",
		Args:  command.Args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			server, err := client.New(*ca, datafolder.Candidates()...)
			if err != nil {
				return err
			}
			if err := server.Call(cmd.Context(), http.MethodDelete, tokensPath+"/"+url.PathEscape(args[0]), nil, nil, nil); err != nil {
				return err
			}
			fmt.Fprintln(cmd.ErrOrStderr(), "token", terminal.Escape(args[0]), "revoked")
			return nil
		},
	}
}
