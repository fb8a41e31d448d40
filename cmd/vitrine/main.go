// Command vitrine is the server and the operator's command line: vitrine up runs everything on one machine. Each command that
// works has a file of its own that reads flags, wires packages together and reports; the work is done elsewhere.
package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/vitrine-ndr/vitrine/cmd/vitrine/rules"
	"github.com/vitrine-ndr/vitrine/cmd/vitrine/trust"
	"github.com/vitrine-ndr/vitrine/internal/command"
	"github.com/vitrine-ndr/vitrine/server"
)

// version is set by the linker.
var version string

func main() { os.Exit(execute(os.Args[1:])) }

func execute(args []string) int { return command.Execute(newRoot(), args) }

func newRoot() *cobra.Command {
	return command.NewRoot("vitrine", "Network detection and response that sees inside TLS", versionText(),
		newUp(), newReplay(), newSearch(), newToken(), trust.New(), rules.New(), newOpenAPI())
}

func versionText() string { return command.Version(version) }

// newOpenAPI prints the description from which clients are generated.
func newOpenAPI() *cobra.Command {
	return &cobra.Command{
		Use: "openapi", Short: "Print the OpenAPI 3.1 document of the HTTP API", Args: command.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			document, err := server.OpenAPI()
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(document)
			return err
		},
	}
}
