// Package dns parses DNS messages, in UDP datagrams and, with their length before them, in TCP streams (RFC 1035). A query
// and its answer go out as one event.DNS; either alone does too. Multicast DNS and LLMNR look the same and are taken as DNS.
//
// Records appear as presentation text, one string each: "name TTL type data", for example "www.example.com 300 A 192.0.2.1".
// Names are lower case, without the final dot; the root is ".". Bytes of a name that are not letters, digits or plain
// punctuation are written \DDD (RFC 4343), a dot or backslash inside a label \. and \\. The class stands before the type unless
// it is IN. Data whose format is not known, or that breaks its format, is written as in RFC 3597: \# length hexadecimal.
//
// The package knows nothing of ports, resolvers or policies.
package dns
