// Package flow names a conversation between two hosts and what every stage may say about it: who talks to whom,
// in which direction, under which TLS session, in which process, and what is to become of its bytes.
//
// It is the vocabulary of all other packages and imports the standard library only. It knows nothing of packets,
// protocols, events or storage.
package flow
