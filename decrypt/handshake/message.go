package handshake

import "fmt"

// MessageType is the type of a handshake message (RFC 8446 §4).
type MessageType uint8

const (
	TypeHelloRequest        MessageType = 0
	TypeClientHello         MessageType = 1
	TypeServerHello         MessageType = 2
	TypeNewSessionTicket    MessageType = 4
	TypeEndOfEarlyData      MessageType = 5
	TypeEncryptedExtensions MessageType = 8
	TypeCertificate         MessageType = 11
	TypeServerKeyExchange   MessageType = 12
	TypeCertificateRequest  MessageType = 13
	TypeServerHelloDone     MessageType = 14
	TypeCertificateVerify   MessageType = 15
	TypeClientKeyExchange   MessageType = 16
	TypeFinished            MessageType = 20
	TypeKeyUpdate           MessageType = 24
)

// MaxMessage is the longest handshake message that Messages keeps. Real certificate chains stay below half of it.
const MaxMessage = 128 << 10

const messageHeaderLen = 4

// Messages cuts the payloads of handshake records into messages. The zero value is ready for use.
type Messages struct {
	buf []byte // the beginning of a message that is not whole yet
}

// Add takes the payload of the next handshake record and calls each for every message that is whole now. body is valid until
// each returns. It fails at a message beyond MaxMessage and with the error of each; then the rest of the payload is skipped.
func (m *Messages) Add(payload []byte, each func(t MessageType, body []byte) error) error {
	if len(m.buf) > 0 {
		m.buf = append(m.buf, payload...)
		payload = m.buf
	}
	for len(payload) >= messageHeaderLen {
		n := int(payload[1])<<16 | int(payload[2])<<8 | int(payload[3])
		if n > MaxMessage {
			m.Reset()
			return fmt.Errorf("handshake message of %d bytes: %w", n, ErrMalformed)
		}
		if len(payload) < messageHeaderLen+n {
			break
		}
		if err := each(MessageType(payload[0]), payload[messageHeaderLen:messageHeaderLen+n]); err != nil {
			m.Reset()
			return err
		}
		payload = payload[messageHeaderLen+n:]
	}
	switch len(payload) {
	case 0:
		m.Reset()
	case len(m.buf): // all of it is there already: moving it for each small record would cost quadratic time
	default: // payload may lie in buf itself: append moves it to the front
		m.buf = append(m.buf[:0], payload...)
	}
	return nil
}

// Partial reports whether the beginning of a message waits for the rest.
func (m *Messages) Partial() bool { return len(m.buf) > 0 }

// Reset drops the beginning of a message. A large buffer is given back.
func (m *Messages) Reset() {
	if cap(m.buf) > MaxPlaintext {
		m.buf = nil
	}
	m.buf = m.buf[:0]
}
