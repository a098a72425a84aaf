package journal

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/hashicorp/raft-wal/types"

	"github.com/tenzro/tenzro/core"
)

// metaFile keeps what the log's directory needs beside its segments: which
// segments there are, and raft's term and vote. It is one file of two slots of
// metaSlot bytes, written in turn and synced; the newer whole one counts. A write
// never grows the file, so a full disk cannot keep a node from voting.
//
// It takes the place of the bbolt database that raft-wal brings along, which
// maps its file and so ends the process when the file is cut.
type metaFile struct {
	path string

	mu    sync.Mutex
	file  *os.File
	seq   uint64
	state metaState
}

const (
	metaName   = "meta"
	metaSlot   = 256 << 10 // about a thousand segments
	metaHeader = 8 + 4 + 4 // sequence, length, CRC-32C of both and the body
)

type metaState struct {
	Log    types.PersistentState `json:"log"`
	Stable map[string][]byte     `json:"stable"`
}

var _ types.MetaStore = (*metaFile)(nil)

// openMeta opens or creates the file. Both slots damaged is core.Corrupt.
func openMeta(dir string) (*metaFile, error) {
	m := &metaFile{path: filepath.Join(dir, metaName), state: metaState{Stable: map[string][]byte{}}}
	if err := m.create(dir); err != nil {
		return nil, core.Errorf(core.Unavailable, "journal", "creating %s: %w", m.path, err)
	}
	f, err := os.OpenFile(m.path, os.O_RDWR, 0)
	if err != nil {
		return nil, core.Errorf(core.Unavailable, "journal", "opening %s: %w", m.path, err)
	}
	m.file = f
	if err := m.read(); err != nil {
		f.Close()
		return nil, err
	}
	return m, nil
}

// create writes a new file under another name first: after a crash it is whole
// or not there.
func (m *metaFile) create(dir string) error {
	if _, err := os.Stat(m.path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	tmp := m.path + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	slot, err := encodeSlot(1, m.state)
	if err != nil {
		return err
	}
	whole := make([]byte, 2*metaSlot)
	copy(whole[metaSlot:], slot)
	if _, err := f.Write(whole); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(tmp, m.path); err != nil {
		return err
	}
	return syncDir(dir)
}

func (m *metaFile) read() error {
	found := false
	for i := range int64(2) {
		slot := make([]byte, metaSlot)
		if _, err := m.file.ReadAt(slot, i*metaSlot); err != nil && err != io.EOF {
			return core.Errorf(core.Corrupt, "journal", "reading %s: %w", m.path, err)
		}
		seq, state, ok := decodeSlot(slot)
		if ok && seq%2 == uint64(i) && seq > m.seq {
			found, m.seq, m.state = true, seq, state
		}
	}
	if !found {
		return core.Errorf(core.Corrupt, "journal", "%s is damaged: neither of its two copies is whole", m.path).WithHint(hintDamaged)
	}
	return nil
}

func encodeSlot(seq uint64, s metaState) ([]byte, error) {
	body, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	if len(body) > metaSlot-metaHeader {
		return nil, core.Errorf(core.Exhausted, "journal", "the log has %d segments, more than its index can hold", len(s.Log.Segments))
	}
	b := binary.BigEndian.AppendUint64(nil, seq)
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
	sum := crc32.Update(crc32.Checksum(b, castagnoli()), castagnoli(), body)
	return append(binary.BigEndian.AppendUint32(b, sum), body...), nil
}

func decodeSlot(b []byte) (seq uint64, s metaState, ok bool) {
	if len(b) < metaHeader {
		return 0, s, false
	}
	n := binary.BigEndian.Uint32(b[8:])
	if uint64(n) > uint64(len(b)-metaHeader) {
		return 0, s, false
	}
	body := b[metaHeader : metaHeader+n]
	if crc32.Update(crc32.Checksum(b[:12], castagnoli()), castagnoli(), body) != binary.BigEndian.Uint32(b[12:]) {
		return 0, s, false
	}
	if json.Unmarshal(body, &s) != nil {
		return 0, s, false
	}
	if s.Stable == nil {
		s.Stable = map[string][]byte{}
	}
	return binary.BigEndian.Uint64(b), s, true
}

// write replaces the older slot; only when that is on disk the new state counts.
func (m *metaFile) write(s metaState) error {
	slot, err := encodeSlot(m.seq+1, s)
	if err != nil {
		return err
	}
	if _, err := m.file.WriteAt(slot, int64((m.seq+1)%2)*metaSlot); err != nil {
		return err
	}
	if err := m.file.Sync(); err != nil {
		return err
	}
	m.seq, m.state = m.seq+1, s
	return nil
}

// Load implements types.MetaStore.
func (m *metaFile) Load(string) (types.PersistentState, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.Log, nil
}

// CommitState implements types.MetaStore.
func (m *metaFile) CommitState(s types.PersistentState) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := m.state
	next.Log = s
	return m.write(next)
}

// GetStable implements types.MetaStore.
func (m *metaFile) GetStable(key []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.Stable[string(key)], nil
}

// SetStable implements types.MetaStore.
func (m *metaFile) SetStable(key, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := metaState{Log: m.state.Log, Stable: map[string][]byte{}}
	for k, v := range m.state.Stable {
		next.Stable[k] = v
	}
	next.Stable[string(key)] = append([]byte(nil), value...)
	return m.write(next)
}

// Close implements types.MetaStore. It does nothing: the log is closed and
// opened again after a failed write, the file stays open until shut.
func (m *metaFile) Close() error { return nil }

func (m *metaFile) shut() error { return m.file.Close() }

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
