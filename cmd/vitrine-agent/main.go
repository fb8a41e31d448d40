// Command vitrine-agent is the program that is installed on hosts. It links no server, no store and no console. Each command that
// works has a file of its own that reads flags, wires packages together and reports; the work is done elsewhere.
package main

import (
	"os"

	"github.com/vitrine-ndr/vitrine/internal/command"
)

// version is set by the linker.
var version string

func main() {
	root := command.NewRoot("vitrine-agent", "What Vitrine installs on hosts", command.Version(version), newProbe(), newGateway(), newKeylog())
	os.Exit(command.Execute(root, os.Args[1:]))
}
