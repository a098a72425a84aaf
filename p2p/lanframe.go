package p2p

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/keys"
)

// The bytes of local discovery are specified in docs/spec/lan-discovery.md.
const (
	lanHeader   = 1 + 2 + keys.LANIDSize // type, payload length, node id
	lanPreface  = 8 + 8 + lanToken       // network, time, token
	lanToken    = 16
	lanMaxFrame = 1400 // one datagram, unfragmented on Ethernet
	// lanPingSize is what a PING is padded to; its answer is never longer.
	lanPingSize = 320
	// MaxWords and maxWordLen bound the capability words a node announces.
	MaxWords   = 8
	maxWordLen = 16
	// maxShared bounds the records of one PEERS_ACK.
	maxShared = 8
)

type lanType uint8

const (
	lanPing     lanType = iota + 1 // here I am
	lanPong                        // so am I, and this is what I offer
	lanPeers                       // whom do you know?
	lanPeersAck                    // these
	lanHello                       // let us keep each other in mind
)

func (t lanType) String() string {
	switch t {
	case lanPing:
		return "ping"
	case lanPong:
		return "pong"
	case lanPeers:
		return "peers"
	case lanPeersAck:
		return "peers_ack"
	case lanHello:
		return "hello"
	}
	return "unknown"
}

// lanMessage is one datagram of local discovery, opened. Which of the last fields
// a type has is said beside them.
type lanMessage struct {
	Type    lanType
	Node    [keys.LANIDSize]byte
	Network [8]byte
	Time    int64          // Unix milliseconds
	Token   [lanToken]byte // PING: random; PONG: that of the PING; others: the cookie
	Cookie  [lanToken]byte // PONG: to be shown in PEERS and HELLO
	Want    uint8          // PEERS: records asked for
	Answer  bool           // HELLO: asks for one in return
	Words   []string       // PONG, HELLO: capability words
	Records [][]byte       // PING, PONG, HELLO: the sender's signed peer record; PEERS_ACK: those of others
}

// networkTag tells networks on one LAN apart.
func networkTag(net core.NetworkID) [8]byte {
	sum := sha256.Sum256([]byte("tenzro/lan/1/" + string(net)))
	return [8]byte(sum[:8])
}

// encode returns the datagram; it may exceed lanMaxFrame, which the sender has to
// prevent by what it puts in.
func (m lanMessage) encode() []byte {
	b := make([]byte, lanHeader, lanPingSize)
	b[0] = byte(m.Type)
	copy(b[3:], m.Node[:])
	b = append(b, m.Network[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(m.Time))
	b = append(b, m.Token[:]...)
	switch m.Type {
	case lanPing:
		b = appendRecords(b, m.Records[:1])
		if pad := lanPingSize - len(b); pad > 0 {
			b = append(b, make([]byte, pad)...)
		}
	case lanPong:
		b = append(b, m.Cookie[:]...)
		b = appendRecords(appendWords(b, m.Words), m.Records[:1])
	case lanPeers:
		b = append(b, m.Want)
	case lanPeersAck:
		b = appendRecords(append(b, byte(len(m.Records))), m.Records)
	case lanHello:
		b = append(b, boolByte(m.Answer))
		b = appendRecords(appendWords(b, m.Words), m.Records[:1])
	}
	binary.BigEndian.PutUint16(b[1:], uint16(len(b)-lanHeader))
	return b
}

func boolByte(v bool) byte {
	if v {
		return 1
	}
	return 0
}

func appendWords(b []byte, words []string) []byte {
	b = append(b, byte(len(words)))
	for _, w := range words {
		b = append(append(b, byte(len(w))), w...)
	}
	return b
}

func appendRecords(b []byte, records [][]byte) []byte {
	for _, r := range records {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(r))), r...)
	}
	return b
}

// decodeLAN opens a datagram. It accepts exactly what encode makes: no spare
// bytes, no other padding, no second form of anything. Signatures are not
// checked here.
func decodeLAN(b []byte) (lanMessage, error) {
	if len(b) < lanHeader+lanPreface || len(b) > lanMaxFrame {
		return lanMessage{}, core.Errorf(core.Invalid, "lan", "datagram has %d bytes; it must have %d to %d", len(b), lanHeader+lanPreface, lanMaxFrame)
	}
	if n := int(binary.BigEndian.Uint16(b[1:])); n != len(b)-lanHeader {
		return lanMessage{}, core.Errorf(core.Invalid, "lan", "payload has %d bytes; its header says %d", len(b)-lanHeader, n)
	}
	m := lanMessage{Type: lanType(b[0]), Node: [keys.LANIDSize]byte(b[3:lanHeader])}
	r := &lanReader{rest: b[lanHeader:]}
	m.Network = [8]byte(r.bytes(8))
	m.Time = int64(binary.BigEndian.Uint64(r.bytes(8)))
	m.Token = [lanToken]byte(r.bytes(lanToken))
	m.readBody(r, len(b))
	if r.bad || len(r.rest) > 0 {
		return lanMessage{}, core.Errorf(core.Invalid, "lan", "malformed %s of %d bytes", m.Type, len(b))
	}
	return m, nil
}

func (m *lanMessage) readBody(r *lanReader, size int) {
	switch m.Type {
	case lanPing:
		m.Records = r.records(1)
		r.padding(size)
	case lanPong:
		copy(m.Cookie[:], r.bytes(lanToken))
		m.Words, m.Records = r.words(), r.records(1)
	case lanPeers:
		m.Want = r.byte()
	case lanPeersAck:
		n := r.byte()
		r.bad = r.bad || n > maxShared
		m.Records = r.records(int(n))
	case lanHello:
		flag := r.byte()
		r.bad = r.bad || flag > 1
		m.Answer = flag == 1
		m.Words, m.Records = r.words(), r.records(1)
	default:
		r.bad = true
	}
}

// lanReader takes a payload apart; once something does not fit it is bad and
// gives nothing more.
type lanReader struct {
	rest []byte
	bad  bool
}

func (r *lanReader) bytes(n int) []byte {
	if r.bad || n > len(r.rest) {
		r.bad = true
		return nil
	}
	out := r.rest[:n]
	r.rest = r.rest[n:]
	return out
}

func (r *lanReader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *lanReader) words() []string {
	n := int(r.byte())
	r.bad = r.bad || n > MaxWords
	var out []string
	for range n {
		w := string(r.bytes(int(r.byte())))
		if r.bad = r.bad || !validWord(w); r.bad {
			return nil
		}
		out = append(out, w)
	}
	return out
}

func (r *lanReader) records(n int) [][]byte {
	var out [][]byte
	for range n {
		head := r.bytes(2)
		if head == nil {
			return nil
		}
		rec := r.bytes(int(binary.BigEndian.Uint16(head)))
		if r.bad = r.bad || len(rec) == 0; r.bad {
			return nil
		}
		out = append(out, rec)
	}
	return out
}

// padding takes the zeros that fill a PING of size bytes up to lanPingSize.
func (r *lanReader) padding(size int) {
	if len(r.rest) > 0 && size != lanPingSize || size < lanPingSize {
		r.bad = true
		return
	}
	for _, b := range r.bytes(len(r.rest)) {
		r.bad = r.bad || b != 0
	}
}

// validWord accepts 1 to maxWordLen of a-z, 0-9 and '-'.
func validWord(w string) bool {
	if len(w) == 0 || len(w) > maxWordLen {
		return false
	}
	for i := 0; i < len(w); i++ {
		c := w[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}
