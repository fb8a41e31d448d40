// Package rules holds what Vitrine ships as data: the list of applications. Each entry has examples that it must and must not fit. It
// knows nothing of how they are read.
package rules

import "embed"

// Files are the data.
//
//go:embed applications
var Files embed.FS
