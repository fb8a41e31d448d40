// Package reassembly puts packets back into conversations. Packets go in, in whatever order a link or a capture gave them;
// for each TCP connection the ordered bytes of both directions come out on a source.Stream, for UDP the datagrams, and every
// byte that never came is told as a gap. Memory is bounded per connection and in all. It knows nothing of TLS or of what the
// bytes mean.
package reassembly
