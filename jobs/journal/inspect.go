package journal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
)

// raft-wal trusts what it reads: it checks one sum, that of the last batch, and
// takes the first frame it does not understand for the end of the log. So every
// segment is read here before the log is opened. Damage at the very end is what a
// crash leaves of a batch that nobody was told about: it is cut, and said. Damage
// with good batches behind it is refused.

// The format of a segment, from raft-wal's segment/format.go: a header, then
// frames of 8 bytes and a payload padded to 8. A commit frame carries the CRC-32C
// of everything since the one before.
const (
	segHeader   = 32
	frameHeader = 8
	frameEntry  = 1
	frameIndex  = 2
	frameCommit = 3
)

// segmentWalk is what one reading of a segment found.
type segmentWalk struct {
	end     int // behind the last good commit; 0 when there is none
	entries int // committed
	index   int // where the committed index begins; 0 when it is not sealed
	dirty   int // bytes behind end up to the last that is not zero
	middle  bool
}

// walkSegment reads a segment to the end of its last good batch and looks at
// what is behind.
func walkSegment(b []byte) segmentWalk {
	var w segmentWalk
	entries, index, since, off := 0, 0, 0, segHeader
	for off+frameHeader <= len(b) {
		kind, n, ok := frameAt(b, off)
		if !ok {
			break
		}
		switch kind {
		case frameEntry:
			entries++
		case frameIndex:
			index = off + frameHeader
		case frameCommit:
			if crc32.Checksum(b[since:off], castagnoli()) != n {
				w.look(b, off)
				return w
			}
			w.end, w.entries, w.index = off+frameHeader, entries, index
			since = w.end
			n = 0
		}
		off += frameHeader + int(n+7)&^7
	}
	w.look(b, off)
	return w
}

// frameAt reads a frame's header; ok is false for zeros and nonsense. n is the
// sum of a commit frame and the length of any other.
func frameAt(b []byte, off int) (kind byte, n uint32, ok bool) {
	if off+frameHeader > len(b) || b[off+1] != 0 || b[off+2] != 0 || b[off+3] != 0 {
		return 0, 0, false
	}
	kind, n = b[off], binary.LittleEndian.Uint32(b[off+4:])
	switch kind {
	case frameCommit:
		return kind, n, true
	case frameEntry, frameIndex:
		return kind, n, int64(off)+frameHeader+(int64(n)+7)&^7 <= int64(len(b))
	}
	return kind, n, false
}

// look measures what is behind the last good batch, where reading stopped at
// off, and whether a whole batch follows the damage: then more than the last one
// is lost.
func (w *segmentWalk) look(b []byte, off int) {
	last := len(b)
	for last > w.end && b[last-1] == 0 {
		last--
	}
	w.dirty = last - w.end
	if w.dirty == 0 {
		return
	}
	if _, _, next := frameAt(b, off+frameHeader); next && b[off] != 0 && b[off] != frameEntry {
		w.middle = true // what should be a frame is none or has a wrong sum, and the next is fine
	}
	for o := max(w.end, segHeader); o+2*frameHeader <= last && !w.middle; o += 8 {
		if kind, _, ok := frameAt(b, o); ok && kind == frameCommit {
			_, _, w.middle = frameAt(b, o+frameHeader)
		}
	}
}

// inspectLog checks the segments that meta names and makes the directory fit to
// be opened: it cuts a torn tail, and completes a change of segments that a crash
// interrupted.
func inspectLog(dir string, meta *metaFile, log zerolog.Logger) error {
	state, err := meta.Load(dir)
	if err != nil {
		return err
	}
	for i, s := range state.Segments {
		path := filepath.Join(dir, segment.FileName(s))
		b, err := os.ReadFile(path)
		sealed := !s.SealTime.IsZero()
		if errors.Is(err, os.ErrNotExist) && !sealed {
			continue // a crash between naming and creating it
		}
		if err != nil {
			return core.Errorf(core.Corrupt, "journal", "reading the log: %w", err).WithHint(hintDamaged)
		}
		if s.BaseIndex == 0 || !sealed && i != len(state.Segments)-1 {
			return damaged(path, "it is not where it belongs")
		}
		if sealed {
			err = checkSealed(path, s, b)
		} else {
			err = mendTail(path, b, meta, state, log)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func damaged(path, how string) error {
	return core.Errorf(core.Corrupt, "journal", "the log file %s is damaged: %s; jobs that were acknowledged may be lost", path, how).WithHint(hintDamaged)
}

// checkSealed holds a complete segment to what meta says of it.
func checkSealed(path string, s types.SegmentInfo, b []byte) error {
	w := walkSegment(b)
	if w.index == 0 || uint64(w.index) != s.IndexStart || s.MaxIndex+1 < s.BaseIndex || uint64(w.entries) < s.MaxIndex-s.BaseIndex+1 {
		return damaged(path, "its checksums do not match up to its end")
	}
	return checkHeader(path, s, b)
}

func checkHeader(path string, s types.SegmentInfo, b []byte) error {
	if len(b) < segHeader || binary.LittleEndian.Uint64(b[8:]) != s.BaseIndex || binary.LittleEndian.Uint64(b[16:]) != s.ID {
		return damaged(path, "it is another file under this name")
	}
	return nil
}

// mendTail cuts what a crash left behind the last good batch of the open
// segment, and finishes sealing it when the crash came in between.
func mendTail(path string, b []byte, meta *metaFile, state types.PersistentState, log zerolog.Logger) error {
	s := &state.Segments[len(state.Segments)-1]
	w := walkSegment(b)
	if w.middle {
		return damaged(path, "a batch has a wrong checksum, and good ones follow it")
	}
	if w.end > 0 {
		if err := checkHeader(path, *s, b); err != nil {
			return err
		}
	}
	if w.dirty > 0 {
		if err := zeroTail(path, int64(w.end), int64(w.dirty)); err != nil {
			return core.Errorf(core.Unavailable, "journal", "cutting the damaged tail of %s: %w", path, err)
		}
		log.Error().Str("file", path).Int("bytes", w.dirty).Uint64("lastGoodIndex", s.BaseIndex+uint64(w.entries)-1).
			Msg("the log ends in an unfinished batch, as after a crash: it was cut; nothing in it had been acknowledged unless the disk lost it")
	}
	if w.index == 0 {
		return nil
	}
	return sealTail(meta, state, w)
}

func zeroTail(path string, from, n int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteAt(make([]byte, n), from); err != nil {
		return err
	}
	return f.Sync()
}

// sealTail names the successor of a segment that was closed: raft-wal would take
// no entry any more.
func sealTail(meta *metaFile, state types.PersistentState, w segmentWalk) error {
	segments := append([]types.SegmentInfo(nil), state.Segments...)
	s := &segments[len(segments)-1]
	s.SealTime, s.IndexStart = time.Now(), uint64(w.index)
	s.MaxIndex = s.BaseIndex + uint64(w.entries) - 1
	next := types.SegmentInfo{ID: state.NextSegmentID, BaseIndex: s.MaxIndex + 1, MinIndex: s.MaxIndex + 1,
		SizeLimit: s.SizeLimit, Codec: s.Codec, CreateTime: time.Now()}
	return meta.CommitState(types.PersistentState{NextSegmentID: state.NextSegmentID + 1, Segments: append(segments, next)})
}
