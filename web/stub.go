//go:build !embedui

package web

import (
	"embed"
	"io/fs"
)

//go:embed stub/index.html
var stub embed.FS

// Dist returns one page that says how to build the console: this program was built without the tag embedui, so that Go
// alone is enough to build it.
func Dist() fs.FS {
	sub, err := fs.Sub(stub, "stub")
	if err != nil {
		panic(err) // only an invalid path gives an error, and this one is constant
	}
	return sub
}
