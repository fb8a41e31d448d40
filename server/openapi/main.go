// Command openapi prints the OpenAPI document of the server's API.
package main

import (
	"fmt"
	"os"

	"github.com/vitrine-ndr/vitrine/server"
)

func main() {
	doc, err := server.OpenAPI()
	if err == nil {
		_, err = os.Stdout.Write(doc)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
