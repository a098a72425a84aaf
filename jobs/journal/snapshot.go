package journal

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"io"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/hashicorp/raft"

	"github.com/tenzro/tenzro/core"
)

// A snapshot on disk holds the open jobs only, so that a restart costs what is
// open; the finished ones are in history, which is flushed first. What a new
// member is sent is the same snapshot with the finished jobs behind it.
const (
	snapMagic   = "tzjs"
	snapVersion = 2 // of one without subtasks of other regions: 1
	snapPlain   = 1
	snapLocal   = 1 // open jobs; history is beside it
	snapFull    = 2 // and the finished jobs
	snapPrefix  = len(snapMagic) + 2
	maxFrame    = maxHead + maxBlob + 64
)

type snapshotHead struct {
	Group   string `json:"group"`
	Applied uint64 `json:"applied"`
	Jobs    int    `json:"jobs"`            // open
	Taken   int    `json:"taken,omitempty"` // subtasks of other regions; only in version 2
}

type snapshot struct {
	hist *history
	head snapshotHead
	open []OpenJob

	taken []Taken
}

var _ raft.FSMSnapshot = (*snapshot)(nil)

// Persist implements raft.FSMSnapshot.
func (s *snapshot) Persist(sink raft.SnapshotSink) error {
	if err := s.hist.flush(); err != nil {
		return err
	}
	w := bufio.NewWriterSize(sink, 64<<10)
	if err := s.write(w); err != nil {
		return err
	}
	return w.Flush()
}

func (s *snapshot) write(w io.Writer) error {
	head, err := json.Marshal(s.head)
	if err != nil {
		return err
	}
	version := byte(snapPlain) // what older programs can read, they may read
	if len(s.taken) > 0 {
		version = snapVersion
	}
	if _, err := w.Write(append([]byte(snapMagic), version, snapLocal)); err != nil {
		return err
	}
	if err := writeFrame(w, head); err != nil {
		return err
	}
	for _, o := range s.open {
		if err := writeOpen(w, o); err != nil {
			return err
		}
	}
	for _, t := range s.taken {
		e, err := encodeTaken(t)
		if err == nil {
			err = writeFrame(w, e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// writeOpen writes a job, the number of its parts and the parts.
func writeOpen(w io.Writer, o OpenJob) error {
	e, err := encodeAccepted(o.Job)
	if err != nil {
		return err
	}
	if err := writeFrame(w, e); err != nil {
		return err
	}
	if _, err := w.Write(binary.AppendUvarint(nil, uint64(len(o.Parts)))); err != nil {
		return err
	}
	for _, p := range o.Parts {
		e, err := encodePart(o.Job.ID, p)
		if err != nil {
			return err
		}
		if err := writeFrame(w, e); err != nil {
			return err
		}
	}
	return nil
}

func writeFrame(w io.Writer, b []byte) error {
	if _, err := w.Write(binary.AppendUvarint(nil, uint64(len(b)))); err != nil {
		return err
	}
	_, err := w.Write(b)
	return err
}

// Release implements raft.FSMSnapshot.
func (s *snapshot) Release() {}

// replace takes the finished jobs of a full snapshot in place of what is there.
func (h *history) replace(r *bufio.Reader, head snapshotHead) error {
	if err := h.wipe(head.Group); err != nil {
		return err
	}
	for more := true; more; {
		c := h.begin()
		c.dirty = true
		for n := 0; n < 256 && more; n++ {
			b, err := readFrame(r)
			if err == nil && len(b) > 0 {
				err = c.take(b)
			}
			if err != nil {
				c.b.Close()
				return core.Errorf(core.Corrupt, "journal", "reading the finished jobs of a snapshot: %w", err)
			}
			more = len(b) > 0
		}
		applied := uint64(0)
		if !more {
			applied = head.Applied
		}
		if err := c.commit(applied); err != nil {
			return err
		}
	}
	return h.flush()
}

// take adds a finished job as a full snapshot carries it: 8 bytes of its place in
// the list and its entry.
func (c *change) take(b []byte) error {
	if len(b) < 8 {
		return io.ErrUnexpectedEOF
	}
	e, err := splitEntry(b[8:])
	if err != nil {
		return err
	}
	j, err := e.job()
	if err != nil {
		return err
	}
	j.Created, _ = placeOf(append([]byte{prefixJob}, b[:8]...))
	return c.put(&j, b[8:])
}

// snapshots is raft's store of snapshots. What it opens for another member has
// the finished jobs behind it.
type snapshots struct {
	raft.SnapshotStore
	hist *history
	// sending says that raft runs: what it opens from now on, it opens to send.
	sending atomic.Bool
}

var _ raft.SnapshotStore = (*snapshots)(nil)

// Open implements raft.SnapshotStore.
func (s *snapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	meta, rc, err := s.SnapshotStore.Open(id)
	if err != nil || !s.sending.Load() {
		return meta, rc, err
	}
	prefix := make([]byte, snapPrefix)
	if _, err := io.ReadFull(rc, prefix); err != nil {
		rc.Close()
		return nil, nil, err
	}
	if prefix[5] == snapFull { // one that we were sent
		return meta, &joined{head: prefix, rc: rc}, nil
	}
	prefix[5] = snapFull
	tail, size, err := s.hist.stream()
	if err != nil {
		rc.Close()
		return nil, nil, err
	}
	meta.Size += size
	return meta, &joined{head: prefix, rc: rc, tail: tail}, nil
}

// joined reads head, rc and tail one after the other.
type joined struct {
	head []byte
	rc   io.ReadCloser
	done bool // rc is read
	tail *historyStream
}

// Read implements io.Reader.
func (j *joined) Read(p []byte) (int, error) {
	if len(j.head) > 0 {
		n := copy(p, j.head)
		j.head = j.head[n:]
		return n, nil
	}
	if !j.done {
		n, err := j.rc.Read(p)
		if err != io.EOF || j.tail == nil {
			return n, err
		}
		j.done = true
		if n > 0 {
			return n, nil
		}
	}
	return j.tail.Read(p)
}

// Close implements io.Closer.
func (j *joined) Close() error {
	err := j.rc.Close()
	if j.tail != nil {
		j.tail.close()
	}
	return err
}

// historyStream reads the finished jobs as of one moment as frames, and an empty
// one at the end.
type historyStream struct {
	snap *pebble.Snapshot
	it   *pebble.Iterator
	ok   bool
	buf  []byte
	last bool
}

// stream returns the finished jobs and how many bytes that will be.
func (h *history) stream() (*historyStream, int64, error) {
	s := &historyStream{snap: h.db.NewSnapshot()}
	var err error
	if s.it, err = s.snap.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixJob}, UpperBound: []byte{prefixJob + 1}}); err != nil {
		s.snap.Close()
		return nil, 0, historyError(err)
	}
	size := int64(1)
	for ok := s.it.First(); ok; ok = s.it.Next() {
		v, err := s.it.ValueAndErr()
		if err != nil {
			s.close()
			return nil, 0, historyError(err)
		}
		n := 8 + len(v) - 2 - int(v[1])
		size += int64(len(binary.AppendUvarint(nil, uint64(n))) + n)
	}
	s.ok = s.it.First()
	return s, size, nil
}

// Read implements io.Reader.
func (s *historyStream) Read(p []byte) (int, error) {
	for len(s.buf) == 0 {
		if s.last {
			return 0, io.EOF
		}
		if err := s.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.buf)
	s.buf = s.buf[n:]
	return n, nil
}

func (s *historyStream) next() error {
	if !s.ok {
		s.buf, s.last = append(s.buf[:0], 0), true
		return s.it.Error()
	}
	v, err := s.it.ValueAndErr()
	if err != nil {
		return historyError(err)
	}
	_, _, entry, err := historyPeek(v)
	if err != nil {
		return err
	}
	s.buf = binary.AppendUvarint(s.buf[:0], uint64(8+len(entry)))
	s.buf = append(append(s.buf, s.it.Key()[1:9]...), entry...)
	s.ok = s.it.Next()
	return nil
}

func (s *historyStream) close() {
	_ = s.it.Close() // errors were seen by Read
	_ = s.snap.Close()
}
