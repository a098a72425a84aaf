package journal

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"io"

	"github.com/tenzro/tenzro/core"
)

// Restore implements raft.FSM.
func (m *machine) Restore(rc io.ReadCloser) error {
	r := bufio.NewReaderSize(rc, 64<<10)
	s, err := readSnapshot(r)
	if err != nil {
		if core.KindOf(err) == core.Internal {
			err = core.Errorf(core.Corrupt, "journal", "reading a snapshot: %w", err).WithHint(hintDamaged)
		}
		return err
	}
	have, head := m.hist.state(), s.head
	behind := have.Group != head.Group || have.Applied < head.Applied
	switch {
	case behind && !s.full:
		return core.Errorf(core.Corrupt, "journal", "the finished jobs on disk end at entry %d and the snapshot at %d", have.Applied, head.Applied).WithHint(hintDamaged)
	case behind:
		if err := m.hist.replace(r, head); err != nil {
			return err
		}
	}
	m.reset()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.group, m.applied, m.open, m.taken = head.Group, head.Applied, s.open, s.taken
	for _, o := range s.open {
		m.bytes += len(o.accepted.Spec.Data)
	}
	return nil
}

// restored is what a snapshot holds besides finished jobs.
type restored struct {
	full  bool // the finished jobs follow
	head  snapshotHead
	open  map[core.TaskID]*openJob
	taken takenTable
}

func readSnapshot(r *bufio.Reader) (s restored, err error) {
	version, full, err := readPrefix(r)
	if err != nil {
		return s, err
	}
	b, err := readFrame(r)
	if err == nil {
		err = json.Unmarshal(b, &s.head)
	}
	if err != nil {
		return s, err
	}
	if version == snapPlain && s.head.Taken != 0 || s.head.Taken < 0 || s.head.Taken > maxTaken {
		return s, core.Errorf(core.Corrupt, "journal", "a snapshot of version %d has %d subtasks of other regions", version, s.head.Taken)
	}
	s.full, s.open, s.taken = full, map[core.TaskID]*openJob{}, newTakenTable()
	for range s.head.Jobs {
		o, err := readOpen(r)
		if err != nil {
			return s, err
		}
		s.open[o.accepted.ID] = o
	}
	for range s.head.Taken {
		if err := readTaken(r, &s.taken); err != nil {
			return s, err
		}
	}
	return s, nil
}

func readPrefix(r *bufio.Reader) (version byte, full bool, err error) {
	prefix := make([]byte, snapPrefix)
	if _, err := io.ReadFull(r, prefix); err != nil {
		return 0, false, err
	}
	if string(prefix[:len(snapMagic)]) != snapMagic || prefix[5] != snapLocal && prefix[5] != snapFull {
		return 0, false, core.Errorf(core.Corrupt, "journal", "this is not a snapshot of a journal")
	}
	if prefix[4] != snapPlain && prefix[4] != snapVersion {
		return 0, false, core.Errorf(core.Unsupported, "journal", "the snapshot has version %d; this program knows %d and %d", prefix[4], snapPlain, snapVersion).
			WithHint("start the version of tenzro that wrote it")
	}
	return prefix[4], prefix[5] == snapFull, nil
}

// readTaken reads one subtask of another region. It has no time of its own: what
// was in the snapshot was within the bounds, void or not.
func readTaken(r *bufio.Reader, into *takenTable) error {
	b, err := readFrame(r)
	if err != nil {
		return err
	}
	e, err := splitEntry(b)
	if err != nil {
		return err
	}
	if e.kind != entryTaken {
		return core.Errorf(core.Corrupt, "journal", "a snapshot has an entry of kind %d for a subtask of another region", e.kind)
	}
	t, err := e.taken()
	if err != nil {
		return err
	}
	if _, twice := into.by[t.Key()]; twice || into.bytes+len(t.Data) > maxTakenBytes {
		return core.Errorf(core.Corrupt, "journal", "a snapshot has a subtask of another region twice, or too much of them")
	}
	into.by[t.Key()] = t
	into.bytes += len(t.Data)
	return nil
}

func readOpen(r *bufio.Reader) (*openJob, error) {
	b, err := readFrame(r)
	if err != nil {
		return nil, err
	}
	e, err := splitEntry(b)
	if err != nil {
		return nil, err
	}
	if e.kind != entryAccepted {
		return nil, core.Errorf(core.Corrupt, "journal", "a snapshot has an entry of kind %d for a job", e.kind)
	}
	j, err := e.job()
	if err != nil {
		return nil, err
	}
	o := newOpenJob(j)
	n, err := binary.ReadUvarint(r)
	for ; err == nil && n > 0; n-- {
		err = readPart(r, o)
	}
	return o, err
}

func readPart(r *bufio.Reader, o *openJob) error {
	b, err := readFrame(r)
	if err != nil {
		return err
	}
	e, err := splitEntry(b)
	if err != nil {
		return err
	}
	id, p, err := e.part()
	if err != nil || e.kind != entryPart || id != o.accepted.ID {
		return core.Errorf(core.Corrupt, "journal", "a snapshot has a part that is none of job %s", o.accepted.ID)
	}
	o.parts[p.Index] = p
	return nil
}

// readFrame reads one frame; memory follows what arrives.
func readFrame(r *bufio.Reader) ([]byte, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, err
	}
	if n > uint64(maxFrame) {
		return nil, core.Errorf(core.Corrupt, "journal", "a frame of a snapshot has %d bytes", n)
	}
	b, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err == nil && uint64(len(b)) < n {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}
