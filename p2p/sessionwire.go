package p2p

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// The bytes of a session are specified in docs/spec/session.md.
const (
	// MaxFrame bounds the payload of one frame.
	MaxFrame = 64 << 10

	frameHeader   = 4 + 8 + 8 // length, sequence, acknowledgement
	sessionMagic  = "TZS1"
	helloSize     = len(sessionMagic) + 1 + 16 + 8
	flagResume    = 1
	statusOK      = 0
	statusUnknown = 1 // nothing to resume under that id
	statusBusy    = 2 // too many sessions of this peer
	statusExists  = 3 // that id is in use already
)

// The rules a peer can break: the labels of the violations metric.
const (
	brokeHandshake = "handshake"
	brokeLength    = "length"
	brokeSequence  = "sequence"
	brokeAck       = "ack"
)

// violation is a rule of the session protocol that the peer broke.
type violation struct {
	rule   string
	detail string
}

// Error says which.
func (v *violation) Error() string { return "session protocol violated (" + v.rule + "): " + v.detail }

func broke(rule, format string, args ...any) error {
	return &violation{rule: rule, detail: fmt.Sprintf(format, args...)}
}

// hello opens a stream of a session, and answers: the dialer sends flags, the
// acceptor a status in the same byte. next is the sequence it expects next.
type hello struct {
	code byte
	id   [16]byte
	next uint64
}

func (m hello) encode() []byte {
	out := append(make([]byte, 0, helloSize), sessionMagic...)
	out = append(out, m.code)
	out = append(out, m.id[:]...)
	return binary.BigEndian.AppendUint64(out, m.next)
}

func decodeHello(b []byte) (hello, error) {
	if len(b) != helloSize || string(b[:4]) != sessionMagic {
		return hello{}, broke(brokeHandshake, "not a session handshake")
	}
	m := hello{code: b[4], id: [16]byte(b[5:21]), next: binary.BigEndian.Uint64(b[21:])}
	if m.next == 0 {
		return hello{}, broke(brokeHandshake, "next expected sequence is 0; the first frame is 1")
	}
	return m, nil
}

func readHello(r io.Reader) (hello, error) {
	var b [helloSize]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return hello{}, err
	}
	return decodeHello(b[:])
}

// readAsk reads the dialer's handshake.
func readAsk(r io.Reader) (hello, error) {
	m, err := readHello(r)
	if err == nil && (m.code > flagResume || m.code == 0 && m.next != 1) {
		err = broke(brokeHandshake, "flags %d with next expected sequence %d", m.code, m.next)
	}
	return m, err
}

// header is what stands before every payload. A frame without sequence carries
// an acknowledgement alone; a sequence without payload ends the session.
type header struct {
	length   uint32
	seq, ack uint64
}

func (f header) put(b []byte) {
	binary.BigEndian.PutUint32(b, f.length)
	binary.BigEndian.PutUint64(b[4:], f.seq)
	binary.BigEndian.PutUint64(b[12:], f.ack)
}

// setAck fills in the acknowledgement of a frame that is about to be written.
func setAck(frame []byte, ack uint64) { binary.BigEndian.PutUint64(frame[12:], ack) }

func parseHeader(b []byte) (header, error) {
	f := header{length: binary.BigEndian.Uint32(b), seq: binary.BigEndian.Uint64(b[4:]), ack: binary.BigEndian.Uint64(b[12:])}
	if f.length > MaxFrame {
		return f, broke(brokeLength, "frame of %d bytes; at most %d are allowed", f.length, MaxFrame)
	}
	if f.seq == 0 && f.length > 0 {
		return f, broke(brokeSequence, "frame of %d bytes without a sequence", f.length)
	}
	return f, nil
}

// readFrame reads one frame; nothing is allocated before the length is known to
// be allowed.
func readFrame(r *bufio.Reader) (header, []byte, error) {
	b, err := r.Peek(frameHeader)
	if err != nil {
		return header{}, nil, err
	}
	f, err := parseHeader(b)
	if err != nil {
		return f, nil, err
	}
	if _, err := r.Discard(frameHeader); err != nil {
		return f, nil, err
	}
	if f.length == 0 {
		return f, nil, nil
	}
	payload := make([]byte, f.length)
	_, err = io.ReadFull(r, payload)
	return f, payload, err
}
