// Package web holds the console: the pages that people see in the browser. Requests for pages come in, files of the built
// folder dist go out, with the headers that keep hostile text from being run. It knows nothing of the API that the pages
// call, of sign-in or of storage.
package web
