package core

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// NodeID names a node: the text form of its libp2p peer id, which for Ed25519
// is the public key itself in base58 ("12D3Koo..."). It is never a display name.
type NodeID string

// Short returns the last eight characters, for logs and tables.
func (id NodeID) Short() string {
	if len(id) <= 8 {
		return string(id)
	}
	return string(id[len(id)-8:])
}

// RegionID names a routing domain, for example "us-east": 1 to 27 characters of
// a-z, 0-9 and '-', neither starting nor ending with '-'. The zero value means
// "not chosen yet".
type RegionID string

// MaxRegionLen is the longest region name; with '-' and a UUID a task id then
// fits in 64 characters.
const MaxRegionLen = 27

// ParseRegionID checks s against the rules of RegionID.
func ParseRegionID(s string) (RegionID, error) {
	ok := len(s) > 0 && len(s) <= MaxRegionLen && s[0] != '-' && s[len(s)-1] != '-'
	for i := 0; ok && i < len(s); i++ {
		c := s[i]
		ok = c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-'
	}
	if !ok {
		return "", Errorf(Invalid, "region", "region %.40q must be 1 to %d characters of a-z, 0-9 and '-'", s, MaxRegionLen)
	}
	return RegionID(s), nil
}

// NetworkID separates networks: protocols, topics and signatures carry it. Same
// alphabet as RegionID, up to 32 characters.
type NetworkID string

// ParseNetworkID checks s against the rules of NetworkID.
func ParseNetworkID(s string) (NetworkID, error) {
	if len(s) == 0 || len(s) > 32 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || strings.ContainsAny(s, "/ ") {
		return "", Errorf(Invalid, "network", "network %.40q must be 1 to 32 characters of a-z, 0-9 and '-'", s)
	}
	return NetworkID(s), nil
}

// TaskID names a task and, with it, its job: 1 to 64 characters of A-Z, a-z,
// 0-9, '_' and '-'. Ids made by this network are "<region>-<uuidv7>", so that
// any gateway can route to the home region without a lookup.
type TaskID string

const uuidLen = 36

// NewTaskID joins a home region and a UUID in its 36-character text form.
func NewTaskID(home RegionID, uuid string) TaskID {
	return TaskID(string(home) + "-" + uuid)
}

// ParseTaskID checks s against the rules of TaskID.
func ParseTaskID(s string) (TaskID, error) {
	if !validName(s, 64) {
		return "", Errorf(Invalid, "taskId", "task id %.40q must be 1 to 64 characters of A-Z, a-z, 0-9, '_' and '-'", s)
	}
	return TaskID(s), nil
}

// Home returns the region that remembers the task, and false for an id that
// was chosen by a client and carries none.
func (id TaskID) Home() (RegionID, bool) {
	cut := len(id) - uuidLen - 1
	if cut < 1 || id[cut] != '-' {
		return "", false
	}
	u := id[cut+1:]
	for i := 0; i < uuidLen; i++ {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (u[i] == '-') {
			return "", false
		}
	}
	r, err := ParseRegionID(string(id[:cut]))
	return r, err == nil
}

func validName(s string, max int) bool {
	if len(s) == 0 || len(s) > max {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

// Digest is a SHA-256 sum; its text form is 64 lower-case hex digits.
type Digest [sha256.Size]byte

// Sum returns the digest of b.
func Sum(b []byte) Digest { return sha256.Sum256(b) }

// String returns the 64 hex digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// IsZero reports whether d was never set.
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText implements encoding.TextMarshaler.
func (d Digest) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, d[:]), nil }

// UnmarshalText accepts exactly the form MarshalText gives.
func (d *Digest) UnmarshalText(b []byte) error {
	upper := func(c byte) bool { return c >= 'A' && c <= 'F' }
	if len(b) != 2*len(d) || slices.ContainsFunc(b, upper) {
		return fmt.Errorf("digest must be %d lower-case hex digits", 2*len(d))
	}
	_, err := hex.Decode(d[:], b)
	return err
}

// ObjectID names an object: the SHA-256 sum of its bytes, so that whoever has the
// bytes can check them. Knowing it is the permission to read. Its text form is that
// of Digest.
type ObjectID Digest

// ObjectOf returns the id of an object with these bytes.
func ObjectOf(b []byte) ObjectID { return ObjectID(Sum(b)) }

// ParseObjectID accepts exactly the form String gives.
func ParseObjectID(s string) (id ObjectID, err error) {
	if err := id.UnmarshalText([]byte(s)); err != nil {
		return id, Errorf(Invalid, "object", "object id %.70q must be %d lower-case hex digits", s, 2*len(id)).
			WithHint("an object's id is the SHA-256 of its bytes; `tenzro object list` shows those of a node")
	}
	return id, nil
}

// String returns the 64 hex digits.
func (id ObjectID) String() string { return Digest(id).String() }

// MarshalText implements encoding.TextMarshaler.
func (id ObjectID) MarshalText() ([]byte, error) { return Digest(id).MarshalText() }

// UnmarshalText accepts exactly the form MarshalText gives.
func (id *ObjectID) UnmarshalText(b []byte) error { return (*Digest)(id).UnmarshalText(b) }
