package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"slices"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
)

// The log's entries, docs/spec/journal.md: version, kind, a head in JSON and a
// blob that is never looked into, so that a payload keeps its exact bytes.
const (
	maxHead = 4 << 20           // 64 proofs and 4,096 workers are a tenth of it
	maxBlob = core.MaxTaskBytes // data of a task, a result, the output of a part
)

// entryKind says what happened. The numbers are on disk: append only.
type entryKind byte

const (
	entryFounded  entryKind = iota + 1 // foundedHead: the group began
	entryAccepted                      // record, the job's data as the blob
	entryPart                          // partHead, its output as the blob
	entryEnded                         // record, the job's result as the blob
	entryForgot                        // forgotHead: old finished jobs are deleted
	entryTaken                         // takenHead, the subtask's data as the blob: since version 3
	entryReleased                      // releasedHead: since version 3
	entryBatch                         // batchHead, other entries as the blob, each behind its length: since version 2
)

// Versions with which what older programs could not keep came in: a proof that shares
// its signature, in a part or an end; what the parts of a job are worth, and its trace.
const (
	sharedVersion = 4
	worthVersion  = 5
)

// versionsOf are those that an entry of a kind may carry: first the one that brought
// it, so that a journal without newer things can be read by older programs.
func versionsOf(k entryKind) []byte {
	switch k {
	case entryAccepted:
		return []byte{1, worthVersion}
	case entryPart:
		return []byte{1, sharedVersion}
	case entryEnded:
		return []byte{1, sharedVersion, worthVersion}
	case entryTaken, entryReleased:
		return []byte{3}
	case entryBatch:
		return []byte{2}
	}
	return []byte{1}
}

// versionWith returns the version that an entry of a kind carries with its head.
func versionWith(k entryKind, head any) byte {
	var proofs []core.Proof
	switch h := head.(type) {
	case partHead:
		proofs = []core.Proof{h.Proof}
	case record:
		if h.Worth > 0 || h.Trace != "" {
			return worthVersion
		}
		proofs = h.Result.Proofs
	}
	if slices.ContainsFunc(proofs, func(p core.Proof) bool { return len(p.Inclusion) > 0 }) {
		return sharedVersion
	}
	return versionsOf(k)[0]
}

// batchHead says how many entries a batch has: at least one, no batch among them.
type batchHead struct {
	Entries int `json:"entries"`
}

type foundedHead struct {
	Group string `json:"group"` // 32 hexadecimal digits, random
}

type partHead struct {
	ID     core.TaskID   `json:"id"`
	Index  int           `json:"index"`
	Proof  core.Proof    `json:"proof"`
	Region core.RegionID `json:"region,omitempty"`
}

// forgotHead deletes what is listed at or behind a place.
type forgotHead struct {
	Created time.Time   `json:"created"`
	ID      core.TaskID `json:"id"`
}

// appendEntry encodes one entry behind dst.
func appendEntry(dst []byte, kind entryKind, head any, blob []byte) ([]byte, error) {
	h, err := json.Marshal(head)
	if err != nil {
		return nil, core.Errorf(core.Invalid, "job", "this job cannot be recorded: %w", err)
	}
	if len(h) > maxHead || len(blob) > maxBlob {
		return nil, core.Errorf(core.Invalid, "job", "a record of %d bytes with %d bytes of payload is too big; at most %d and %d", len(h), len(blob), maxHead, maxBlob)
	}
	dst = append(dst, versionWith(kind, head), byte(kind))
	dst = binary.AppendUvarint(dst, uint64(len(h)))
	dst = append(dst, h...)
	dst = binary.AppendUvarint(dst, uint64(len(blob)))
	return append(dst, blob...), nil
}

// rawEntry is an entry whose head is not decoded yet; head and blob are slices
// of what was read.
type rawEntry struct {
	kind       entryKind
	head, blob []byte
}

// splitEntry takes an entry apart. An unknown version is core.Unsupported,
// anything else that is wrong core.Corrupt.
func splitEntry(b []byte) (rawEntry, error) {
	if len(b) < 2 {
		return rawEntry{}, core.Errorf(core.Corrupt, "journal", "an entry of the log has %d bytes", len(b))
	}
	versions := versionsOf(entryKind(b[1]))
	if newest := versions[len(versions)-1]; b[0] > newest {
		return rawEntry{}, core.Errorf(core.Unsupported, "journal", "an entry of the log has version %d; this program knows none above %d", b[0], newest).
			WithHint("start the version of tenzro that wrote it")
	}
	e := rawEntry{kind: entryKind(b[1])}
	rest, ok := b[2:], true
	if e.head, rest, ok = cutSized(rest, maxHead); ok {
		e.blob, rest, ok = cutSized(rest, maxBlob)
	}
	if !ok || len(rest) != 0 || e.kind < entryFounded || e.kind > entryBatch || !slices.Contains(versions, b[0]) {
		return rawEntry{}, core.Errorf(core.Corrupt, "journal", "an entry of the log with kind %d and %d bytes is damaged", b[1], len(b))
	}
	return e, nil
}

func cutSized(b []byte, most uint64) (part, rest []byte, ok bool) {
	n, used := binary.Uvarint(b)
	if used <= 0 || n > most || n > uint64(len(b)-used) {
		return nil, nil, false
	}
	return b[used : used+int(n)], b[used+int(n):], true
}

// decodeHead reads the head into v; unknown fields are damage, because fields
// are only added with a new version.
func (e rawEntry) decodeHead(v any) error {
	d := json.NewDecoder(bytes.NewReader(e.head))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = core.Errorf(core.Corrupt, "journal", "something follows")
		}
	}
	if err != nil {
		return core.Errorf(core.Corrupt, "journal", "the head of an entry of kind %d is damaged: %w", e.kind, err)
	}
	return nil
}

// payload returns the blob as a message of its own, nil when it is empty.
func (e rawEntry) payload() json.RawMessage {
	if len(e.blob) == 0 {
		return nil
	}
	return bytes.Clone(e.blob)
}

func encodeAccepted(j jobs.Job) ([]byte, error) {
	return appendEntry(nil, entryAccepted, recordOf(j), j.Spec.Data)
}

func encodeEnded(j jobs.Job) ([]byte, error) {
	return appendEntry(nil, entryEnded, recordOf(j), j.Result.Result)
}

func encodeBatch(entries [][]byte) ([]byte, error) {
	var blob []byte
	for _, e := range entries {
		blob = binary.AppendUvarint(blob, uint64(len(e)))
		blob = append(blob, e...)
	}
	return appendEntry(nil, entryBatch, batchHead{Entries: len(entries)}, blob)
}

// entries takes a batch apart; another entry is one of its own.
func (e rawEntry) entries(whole []byte) ([][]byte, error) {
	if e.kind != entryBatch {
		return [][]byte{whole}, nil
	}
	var h batchHead
	if err := e.decodeHead(&h); err != nil {
		return nil, err
	}
	if h.Entries < 1 || h.Entries > batchMost {
		return nil, core.Errorf(core.Corrupt, "journal", "a batch of %d entries", h.Entries)
	}
	out := make([][]byte, h.Entries)
	rest, ok := e.blob, true
	for i := range out {
		if out[i], rest, ok = cutSized(rest, maxBlob); !ok || len(out[i]) < 2 || entryKind(out[i][1]) == entryBatch {
			return nil, core.Errorf(core.Corrupt, "journal", "entry %d of a batch of %d is damaged", i, h.Entries)
		}
	}
	if len(rest) != 0 {
		return nil, core.Errorf(core.Corrupt, "journal", "%d bytes follow a batch", len(rest))
	}
	return out, nil
}

// countEntries is how many entries one of the log holds.
func countEntries(data []byte) int {
	if len(data) < 2 || entryKind(data[1]) != entryBatch {
		return 1
	}
	var h batchHead
	if e, err := splitEntry(data); err != nil || e.decodeHead(&h) != nil {
		return 1
	}
	return h.Entries
}

func encodePart(id core.TaskID, p jobs.Part) ([]byte, error) {
	return appendEntry(nil, entryPart, partHead{ID: id, Index: p.Index, Proof: p.Proof, Region: p.Region}, p.Output)
}

// job decodes the job of an accepted or ended entry.
func (e rawEntry) job() (jobs.Job, error) {
	var r record
	if err := e.decodeHead(&r); err != nil {
		return jobs.Job{}, err
	}
	j := r.job()
	if j.ID == "" || (e.kind == entryEnded) != j.State.Final() || e.kind == entryAccepted && j.State != jobs.Committed {
		return j, core.Errorf(core.Corrupt, "journal", "an entry of kind %d is about job %.64q in state %s", e.kind, j.ID, j.State)
	}
	j.Spec.Data, j.Result.Result = nil, nil
	if e.kind == entryAccepted {
		j.Spec.Data = e.payload()
	} else {
		j.Result.Result = e.payload()
	}
	return j, nil
}

// part decodes a part entry.
func (e rawEntry) part() (core.TaskID, jobs.Part, error) {
	var h partHead
	if err := e.decodeHead(&h); err != nil {
		return "", jobs.Part{}, err
	}
	if h.ID == "" || h.Index < 0 {
		return "", jobs.Part{}, core.Errorf(core.Corrupt, "journal", "a part names job %.64q and subtask %d", h.ID, h.Index)
	}
	return h.ID, jobs.Part{Index: h.Index, Output: e.payload(), Proof: h.Proof, Region: h.Region}, nil
}
