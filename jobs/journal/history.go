package journal

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
)

// history holds the finished jobs, on disk only. Keys:
//
//	j <8 bytes, falling with the time of creation> <id>  the job, newest first
//	i <id>                                               those 8 bytes
//	m                                                    historyMeta
//
// It has no log of its own: raft's log is replayed from the last snapshot, and
// before a snapshot counts, history is flushed. Every batch carries what it
// changes in the counts, so that after a crash it is a prefix of what was
// written.
type history struct {
	db *pebble.DB

	mu    sync.Mutex
	meta  historyMeta
	ahead uint64 // the last entry of the log that it may hold already; see mayHold
}

type historyMeta struct {
	Group   string `json:"group"`
	Applied uint64 `json:"applied"` // index of the last entry of the log in it
	Jobs    int    `json:"jobs"`
	Bytes   int64  `json:"bytes"` // of the records
	// Sent says that another member's history is in it, which was ahead of Applied
	// by nobody knows how much.
	Sent bool `json:"sent,omitempty"`
}

const (
	prefixJob   = 'j'
	prefixIndex = 'i'
	prefixMeta  = 'm'

	flushTimeout = 10 * time.Second
)

// pebbleLog passes what pebble says on at level debug.
type pebbleLog struct{ log zerolog.Logger }

// Infof implements pebble.Logger.
func (l pebbleLog) Infof(format string, args ...any) { l.log.Debug().Msgf(format, args...) }

// Errorf implements pebble.Logger.
func (l pebbleLog) Errorf(format string, args ...any) { l.log.Warn().Msgf(format, args...) }

// Fatalf implements pebble.Logger, which must not return.
func (l pebbleLog) Fatalf(format string, args ...any) {
	l.log.Error().Msgf(format, args...)
	// impossible: to go on, pebble says here; the next start replays the log
	panic(fmt.Sprintf("journal history: "+format, args...))
}

func openHistory(files vfs.FS, dir string, log zerolog.Logger) (*history, error) {
	cache := pebble.NewCache(8 << 20)
	defer cache.Unref()
	o := &pebble.Options{Cache: cache, DisableWAL: true, MemTableSize: 4 << 20, MaxOpenFiles: 256,
		FormatMajorVersion: pebble.FormatNewest, Logger: pebbleLog{log}}
	if files != nil {
		o.FS = files
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	db, err := pebble.Open(dir, o)
	if err != nil {
		return nil, core.Errorf(core.Corrupt, "journal", "opening the finished jobs in %s: %w", dir, err).WithHint(hintDamaged)
	}
	h := &history{db: db}
	if err := h.load(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return h, nil
}

func (h *history) load() error {
	b, closer, err := h.db.Get([]byte{prefixMeta})
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return historyError(err)
	}
	defer closer.Close()
	if err := json.Unmarshal(b, &h.meta); err != nil {
		return historyError(err)
	}
	h.ahead = h.meta.Applied
	return nil
}

// mayHold reports whether history may hold already what an entry of the log adds:
// the log is replayed from the last snapshot on.
func (h *history) mayHold(index uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.meta.Sent || index <= h.ahead
}

func historyError(err error) error {
	return core.Errorf(core.Corrupt, "journal", "the finished jobs on disk are damaged: %w", err).WithHint(hintDamaged)
}

func (h *history) state() historyMeta {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.meta
}

// place is the key of a job in the list.
func place(created time.Time, id core.TaskID) []byte {
	b := []byte{prefixJob}
	b = binary.BigEndian.AppendUint64(b, ^(uint64(created.UnixNano()) ^ 1<<63))
	return append(b, id...)
}

// placeOf reads a key back.
func placeOf(key []byte) (time.Time, core.TaskID) {
	nano := ^binary.BigEndian.Uint64(key[1:]) ^ 1<<63
	return time.Unix(0, int64(nano)), core.TaskID(key[9:])
}

func indexKey(id core.TaskID) []byte { return append([]byte{prefixIndex}, id...) }

// historyValue puts what a list filters by before the entry.
func historyValue(j *jobs.Job, entry []byte) []byte {
	b := append([]byte{byte(j.State), byte(len(j.Spec.Type))}, j.Spec.Type...)
	return append(b, entry...)
}

// historyPeek reads it back.
func historyPeek(v []byte) (state jobs.State, typ core.TaskType, entry []byte, err error) {
	if len(v) < 2 || len(v) < 2+int(v[1]) {
		return 0, "", nil, historyError(fmt.Errorf("a record has %d bytes", len(v)))
	}
	return jobs.State(v[0]), core.TaskType(v[2 : 2+v[1]]), v[2+v[1]:], nil
}

func historyJob(v []byte) (jobs.Job, error) {
	_, _, entry, err := historyPeek(v)
	if err != nil {
		return jobs.Job{}, err
	}
	e, err := splitEntry(entry)
	if err != nil {
		return jobs.Job{}, err
	}
	return e.job()
}

// get returns a finished job; ok is false when it is not there.
func (h *history) get(id core.TaskID) (j jobs.Job, ok bool, err error) {
	at, err := readAll(h.db, indexKey(id))
	if err != nil || at == nil {
		return j, false, err
	}
	v, err := readAll(h.db, append(append([]byte{prefixJob}, at...), id...))
	if err != nil || v == nil {
		return j, false, err // forgotten in between
	}
	j, err = historyJob(v)
	return j, err == nil, err
}

// readAll returns a copy of a value, nil when the key is not there.
func readAll(r pebble.Reader, key []byte) ([]byte, error) {
	v, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, historyError(err)
	}
	defer closer.Close()
	return append([]byte{}, v...), nil
}

// list calls fn with the finished jobs behind the cursor that match the filter,
// newest first, until it returns false.
func (h *history) list(f Filter, fn func(jobs.Job) bool) error {
	it, err := h.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixJob}, UpperBound: []byte{prefixJob + 1}})
	if err != nil {
		return historyError(err)
	}
	defer it.Close()
	from := []byte{prefixJob}
	if f.After.ID != "" {
		from = append(place(f.After.Created, f.After.ID), 0)
	}
	for ok := it.SeekGE(from); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return historyError(err)
		}
		state, typ, _, err := historyPeek(v)
		if err != nil {
			return err
		}
		if f.State != "" && state.Task() != f.State || !f.kind(typ) {
			continue
		}
		j, err := historyJob(v)
		if err != nil {
			return err
		}
		if !fn(j) {
			break
		}
	}
	return it.Error()
}

// oldest returns the key behind which everything but the newest keep jobs is, at
// most limit jobs from the end; nil when there is nothing to forget.
func (h *history) oldest(limit int, old func(n int, bytes int64, created time.Time) bool) ([]byte, error) {
	it, err := h.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixJob}, UpperBound: []byte{prefixJob + 1}})
	if err != nil {
		return nil, historyError(err)
	}
	defer it.Close()
	left := h.state()
	var last []byte
	for ok := it.Last(); ok && limit > 0 && left.Jobs > 1; ok, limit = it.Prev(), limit-1 {
		created, _ := placeOf(it.Key())
		if !old(left.Jobs, left.Bytes, created) {
			break
		}
		v, err := it.ValueAndErr()
		if err != nil {
			return nil, historyError(err)
		}
		last = append(last[:0], it.Key()...)
		left.Jobs--
		left.Bytes -= int64(len(it.Key()) + len(v))
	}
	return last, it.Error()
}

// change is one batch of changes.
type change struct {
	h     *history
	b     *pebble.Batch
	meta  historyMeta
	dirty bool
	// replay says that the entry may have been applied before.
	replay bool
}

func (h *history) begin() *change {
	return &change{h: h, b: h.db.NewIndexedBatch(), meta: h.state()}
}

func (c *change) has(id core.TaskID) (bool, error) {
	v, err := readAll(c.b, indexKey(id))
	return v != nil, err
}

// put adds a finished job. One that is there is left alone; that takes a look
// only in a replay, because the end of an open job is new.
func (c *change) put(j *jobs.Job, entry []byte) error {
	if c.replay {
		if known, err := c.has(j.ID); err != nil || known {
			return err
		}
	}
	key, v := place(j.Created, j.ID), historyValue(j, entry)
	c.meta.Jobs++
	c.meta.Bytes += int64(len(key) + len(v))
	c.dirty = true
	return errors.Join(c.b.Set(key, v, nil), c.b.Set(indexKey(j.ID), key[1:9], nil))
}

// forget deletes everything at or behind a key.
func (c *change) forget(from []byte) error {
	it, err := c.b.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: []byte{prefixJob + 1}})
	if err != nil {
		return historyError(err)
	}
	defer it.Close()
	var keys [][]byte
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return historyError(err)
		}
		keys = append(keys, append([]byte{}, it.Key()...))
		c.meta.Jobs--
		c.meta.Bytes -= int64(len(it.Key()) + len(v))
	}
	if err := it.Error(); err != nil {
		return historyError(err)
	}
	for _, k := range keys {
		c.dirty = true
		if err := errors.Join(c.b.Delete(k, nil), c.b.Delete(indexKey(core.TaskID(k[9:])), nil)); err != nil {
			return historyError(err)
		}
	}
	return nil
}

// commit makes the changes visible together, as of an index of the log.
func (c *change) commit(applied uint64) error {
	defer c.b.Close()
	if !c.dirty {
		return nil
	}
	c.meta.Applied = max(c.meta.Applied, applied)
	m, err := json.Marshal(c.meta)
	if err == nil {
		err = errors.Join(c.b.Set([]byte{prefixMeta}, m, nil), c.b.Commit(pebble.NoSync))
	}
	if err != nil {
		return historyError(err)
	}
	c.h.mu.Lock()
	c.h.meta = c.meta
	c.h.mu.Unlock()
	return nil
}

// flush puts everything on disk. On a full one pebble tries for ever; this does
// not wait for that.
func (h *history) flush() error {
	done, err := h.db.AsyncFlush()
	if err != nil {
		return core.Errorf(core.Unavailable, "journal", "flushing the finished jobs: %w", err)
	}
	late := time.NewTimer(flushTimeout)
	defer late.Stop()
	select {
	case <-done:
		return nil
	case <-late.C:
		return core.Errorf(core.Unavailable, "journal", "the finished jobs are not on disk after %s", flushTimeout)
	}
}

// wipe forgets everything, for a history of another node to take its place.
func (h *history) wipe(group string) error {
	b := h.db.NewBatch()
	defer b.Close()
	h.mu.Lock()
	defer h.mu.Unlock()
	next := historyMeta{Group: group, Sent: true}
	m, err := json.Marshal(next)
	if err == nil {
		err = errors.Join(b.DeleteRange([]byte{0}, []byte{0xff}, nil), b.Set([]byte{prefixMeta}, m, nil), b.Commit(pebble.NoSync))
	}
	if err != nil {
		return historyError(err)
	}
	h.meta = next
	return nil
}

// close does not flush: what is missing is in the log.
func (h *history) close() error { return h.db.Close() }
