// Package api holds the payloads of the HTTP API: what the console, the command line and scripts send and get. The OpenAPI
// document, and from it the console's TypeScript types, are made of these types, of event.Record and of filter.Rules. It has
// no behaviour and knows neither the server nor the store.
package api
