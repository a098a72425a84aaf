package p2p

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/routing"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/keys"
)

const (
	// MaxRecord bounds a stored record: sequence, value and signature.
	MaxRecord = 1024
	// MaxValue is what is left of it for the value.
	MaxValue = MaxRecord - recordOverhead

	recordOverhead = 8 + 64 // sequence, Ed25519 signature
	valueNamespace = "tenzro"
	recordDomain   = keys.Domain("tenzro/dht-record/1")
)

// PutValue stores a small value of ours under key in the DHT, signed, and keeps
// it there from Serve until RemoveValue. A later value replaces it everywhere.
// The errors are those of Provide.
func (h *Host) PutValue(ctx context.Context, key string, value []byte) error {
	if len(value) > MaxValue {
		return core.Errorf(core.Invalid, "dht.value", "value has %d bytes; a record holds %d", len(value), MaxValue)
	}
	if len(key) == 0 || len(key) > maxKeyLen {
		return core.Errorf(core.Invalid, "dht.key", "DHT key has %d characters; it must have 1 to %d", len(key), maxKeyLen)
	}
	full := valueKey(h.ID(), key)
	sealed := sealRecord(h.cfg.Identity, h.cfg.Network, full, h.dht.nextSeq(), value)
	return h.dht.add(ctx, "value/"+key, func(ctx context.Context) error { return h.dht.router.PutValue(ctx, full, sealed) })
}

// RemoveValue stops republishing the value under key. What others hold expires
// within the hour.
func (h *Host) RemoveValue(key string) { h.dht.remove("value/" + key) }

// GetValue returns the newest value that author is known to have put under key.
// It is core.NotFound when nobody asked in FindTimeout has one, which does not
// prove that there is none.
func (h *Host) GetValue(ctx context.Context, author core.NodeID, key string) ([]byte, error) {
	if _, err := peerID(author); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, FindTimeout)
	defer cancel()
	full := valueKey(author, key)
	found, err := h.dht.router.SearchValue(ctx, full)
	if err != nil {
		return nil, getError(author, key, err)
	}
	var best []byte
	for sealed := range found { // each better than the one before
		best = sealed
	}
	if best == nil {
		return nil, getError(author, key, routing.ErrNotFound)
	}
	r, err := openRecord(h.cfg.Network, full, best)
	if err != nil {
		return nil, err
	}
	return r.value, nil
}

func getError(author core.NodeID, key string, err error) error {
	if errors.Is(err, routing.ErrNotFound) {
		return core.Errorf(core.NotFound, "dht", "no value %.40q of %s was found", key, author)
	}
	return core.Errorf(core.Unavailable, "dht", "looking for value %.40q of %s: %w", key, author, err)
}

// nextSeq returns a number larger than any before, in this process and, clocks
// willing, in earlier ones.
func (t *table) nextSeq() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lastSeq = max(t.lastSeq+1, uint64(time.Now().UnixMilli()))
	return t.lastSeq
}

// valueKey binds a key to its author: nobody else can write there.
func valueKey(author core.NodeID, key string) string {
	return "/" + valueNamespace + "/" + string(author) + "/" + key
}

// valueRecord is the opened form of sequence (8 bytes), value, signature (64).
type valueRecord struct {
	seq   uint64
	value []byte
}

func sealRecord(s keys.Signer, net core.NetworkID, key string, seq uint64, value []byte) []byte {
	out := binary.BigEndian.AppendUint64(make([]byte, 0, recordOverhead+len(value)), seq)
	out = append(out, value...)
	return append(out, s.Sign(recordDomain, []byte(net), []byte(key), out)...)
}

func openRecord(net core.NetworkID, key string, sealed []byte) (valueRecord, error) {
	if len(sealed) < recordOverhead || len(sealed) > MaxRecord {
		return valueRecord{}, core.Errorf(core.Corrupt, "dht.record", "record has %d bytes; it must have %d to %d", len(sealed), recordOverhead, MaxRecord)
	}
	author, ok := authorOf(key)
	if !ok {
		return valueRecord{}, core.Errorf(core.Corrupt, "dht.record", "record key %.80q names no author and key", key)
	}
	body, sig := sealed[:len(sealed)-64], sealed[len(sealed)-64:]
	if err := keys.Verify(author, recordDomain, sig, []byte(net), []byte(key), body); err != nil {
		return valueRecord{}, err
	}
	return valueRecord{seq: binary.BigEndian.Uint64(body), value: body[8:]}, nil
}

func authorOf(key string) (core.NodeID, bool) {
	rest, ok := strings.CutPrefix(key, "/"+valueNamespace+"/")
	author, name, found := strings.Cut(rest, "/")
	return core.NodeID(author), ok && found && len(name) > 0 && len(name) <= maxKeyLen
}

// validator decides which value records the DHT keeps and which of two wins.
type validator struct{ network core.NetworkID }

// Validate accepts a record that the author in its key signed for this network.
func (v validator) Validate(key string, value []byte) error {
	_, err := openRecord(v.network, key, value)
	return err
}

// Select prefers the highest sequence; of equals the larger bytes, so that all
// nodes agree.
func (v validator) Select(key string, values [][]byte) (int, error) {
	best, found := 0, valueRecord{}
	for i, sealed := range values {
		r, err := openRecord(v.network, key, sealed)
		if err != nil {
			continue
		}
		if found.value == nil || r.seq > found.seq || r.seq == found.seq && bytes.Compare(sealed, values[best]) > 0 {
			best, found = i, r
		}
	}
	if found.value == nil {
		return 0, core.Errorf(core.Corrupt, "dht.record", "none of %d records is valid", len(values))
	}
	return best, nil
}
