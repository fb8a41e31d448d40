package keylog

import (
	"bytes"
	"encoding/hex"
	"sync"
	"sync/atomic"

	"github.com/vitrine-ndr/vitrine/decrypt"
)

// DefaultSessions is how many sessions a Store keeps unless told otherwise: some 80 MB with the four 48-byte secrets of TLS 1.3
// each, and never more than 200 MB, whatever a key log says.
const DefaultSessions = 200_000

// meanSecrets is for how many bytes of secrets a Store has room per session, on average: twice what TLS 1.3 has at most.
const meanSecrets = 512

// maxCandidates is how many different secrets of one label a session may have: key taps write wrong ones before the right one.
const maxCandidates = 16

// Store keeps the secrets of the latest sessions, by client random. It implements decrypt.Keys.
type Store struct {
	mu       sync.RWMutex
	sessions map[[32]byte][]byte // lines: label, length, value
	order    [][32]byte          // of sessions, the oldest first
	size     int                 // bytes of all lines
	limit    int                 // of sessions

	generation atomic.Uint64
	stats      Stats
}

var _ decrypt.Keys = (*Store)(nil)

// Stats count lines since the Store was made.
type Stats struct {
	Added      uint64 // secrets that were new
	Duplicates uint64
	Zero       uint64 // secrets of nothing but zeros
	Other      uint64 // lines of labels that open no records
	Malformed  uint64
	Surplus    uint64 // secrets beyond the candidates that a session may have
	Dropped    uint64 // sessions that made room for later ones
}

// NewStore returns a Store of at most that many sessions, fewer if they have uncommonly many secrets. Beyond that the oldest are dropped.
func NewStore(limit int) *Store {
	return &Store{sessions: make(map[[32]byte][]byte), limit: max(1, limit)}
}

// Add takes the lines of a key log. The end of text ends the last line. It returns how many secrets were new.
func (s *Store) Add(text []byte) int {
	added := 0
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(text) > 0 {
		var b []byte
		b, text, _ = bytes.Cut(text, []byte{'\n'})
		if s.addLine(b) {
			added++
		}
	}
	if added > 0 {
		s.generation.Add(1)
	}
	return added
}

// addLine counts a line and keeps its secret, if it has one; b is not kept. It reports whether the secret was new. The caller holds mu.
func (s *Store) addLine(b []byte) bool {
	var l line
	switch l.parse(b) {
	case other:
		s.stats.Other++
	case malformed:
		s.stats.Malformed++
	case secret:
		return s.addSecret(&l)
	}
	return false
}

// addSecret keeps a secret unless it is known already, can be none, or has too many rivals. The caller holds mu.
func (s *Store) addSecret(l *line) bool {
	value := l.value[:l.length]
	if len(bytes.Trim(value, "\x00")) == 0 {
		s.stats.Zero++
		return false
	}
	lines, known := s.sessions[l.clientRandom]
	same := 0
	for rest := lines; len(rest) > 0; {
		var label uint8
		var v []byte
		label, v, rest = cutSecret(rest)
		if label != l.label {
			continue
		}
		if bytes.Equal(v, value) {
			s.stats.Duplicates++
			return false
		}
		same++
	}
	if same >= maxCandidates {
		s.stats.Surplus++
		return false
	}
	if !known {
		s.order = append(s.order, l.clientRandom)
	}
	// What Secrets has returned stays as it is: appending writes behind it only.
	lines = append(lines, l.label, uint8(l.length))
	s.sessions[l.clientRandom] = append(lines, value...)
	s.size += 2 + len(value)
	s.stats.Added++
	s.makeRoom()
	return true
}

// makeRoom drops the oldest sessions while there are too many, or too large ones. The latest stays in any case.
func (s *Store) makeRoom() {
	for len(s.order) > s.limit || len(s.order) > 1 && s.size > s.limit*meanSecrets {
		s.size -= len(s.sessions[s.order[0]])
		delete(s.sessions, s.order[0])
		s.order = s.order[1:]
		s.stats.Dropped++
	}
}

// cutSecret takes the first secret off the lines of a session, which are not empty. value shares their memory and cannot grow into it.
func cutSecret(lines []byte) (label uint8, value, rest []byte) {
	end := 2 + int(lines[1])
	return lines[0], lines[2:end:end], lines[end:]
}

// Secrets implements decrypt.Keys.
func (s *Store) Secrets(clientRandom [32]byte) []decrypt.Secret {
	s.mu.RLock()
	lines := s.sessions[clientRandom]
	s.mu.RUnlock()
	if len(lines) == 0 {
		return nil
	}
	secrets := make([]decrypt.Secret, 0, 5)
	for len(lines) > 0 {
		var label uint8
		var value []byte
		label, value, lines = cutSecret(lines)
		secrets = append(secrets, decrypt.Secret{Label: labels[label], Value: value})
	}
	return secrets
}

// Generation implements decrypt.Keys.
func (s *Store) Generation() uint64 { return s.generation.Load() }

// Export returns the secrets of a session as the lines of a key log, for the Decryption Secrets Block of a capture.
func (s *Store) Export(clientRandom [32]byte) []byte {
	var text []byte
	for _, secret := range s.Secrets(clientRandom) {
		text = append(text, secret.Label...)
		text = hex.AppendEncode(append(text, ' '), clientRandom[:])
		text = hex.AppendEncode(append(text, ' '), secret.Value)
		text = append(text, '\n')
	}
	return text
}

// Stats returns the counts up to now.
func (s *Store) Stats() Stats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.stats
}

// Sessions returns how many sessions are kept.
func (s *Store) Sessions() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.sessions)
}
