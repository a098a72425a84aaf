package wire

import (
	"encoding/json"
	"math"
	"time"

	"github.com/tenzro/tenzro/core"
)

// QueryOutput asks what a task writes while it runs. Without Output, which subtasks
// may be writing: the answer's Output is a core.OutputState. With it, what one of
// them has written behind what is known: a core.OutputPart, as soon as there is
// something, and after OutputWait with nothing.
const QueryOutput QueryOp = "output"

const (
	// OutputWait is how long an answer may wait for output.
	OutputWait = 2 * time.Second
	// MaxOutputPart bounds the bytes of one answer.
	MaxOutputPart = 16 << 10
	// MaxOutputPieces bounds its pieces.
	MaxOutputPieces = 128
)

func (m *JobQuery) validOutput() error {
	if m.Output == nil {
		return nil
	}
	if m.Op != QueryOutput {
		return invalid("output", "belongs to op output")
	}
	f := m.Output
	if f.Stdout < 0 || f.Stderr < 0 {
		return invalid("output", "has a negative offset")
	}
	return validIndex("output.subtask", f.Subtask)
}

// DecodeOutputState reads who a region says may be writing for a task.
func DecodeOutputState(b json.RawMessage, id core.TaskID) (core.OutputState, error) {
	var s core.OutputState
	if err := DecodeStrict(b, &s); err != nil {
		return s, err
	}
	if s.TaskID != id {
		return s, invalid("taskId", "is %.64s, not %s", s.TaskID, id)
	}
	if len(s.Running) > core.MaxWritersShown || s.Subtasks < 0 || s.Subtasks > core.MaxParallelism {
		return s, invalid("running", "has %d entries of %d; at most %d of %d", len(s.Running), s.Subtasks, core.MaxWritersShown, core.MaxParallelism)
	}
	last := -1
	for _, i := range s.Running {
		if err := validIndex("running", i); err != nil {
			return s, err
		}
		if i <= last {
			return s, invalid("running", "has %d out of order", i)
		}
		last = i
	}
	return s, firstError(validText("type", string(s.Type), maxName), validText("status", string(s.Status), maxName))
}

// DecodeOutputPart reads what a subtask is said to have written behind from: its
// pieces go on from what is known, in order, and overlap nowhere.
func DecodeOutputPart(b json.RawMessage, from core.OutputFrom) (core.OutputPart, error) {
	var p core.OutputPart
	if err := DecodeStrict(b, &p); err != nil {
		return p, err
	}
	if p.Run == 0 || p.Attempt < 1 || p.Attempt > MaxAttempt {
		return p, invalid("run", "is %d, attempt %d", p.Run, p.Attempt)
	}
	if len(p.Pieces) > MaxOutputPieces {
		return p, invalid("pieces", "has %d entries; at most %d", len(p.Pieces), MaxOutputPieces)
	}
	if p.Run != from.Run {
		from = core.OutputFrom{}
	}
	total := 0
	for _, piece := range p.Pieces {
		if !piece.Stream.Valid() || len(piece.Data) == 0 {
			return p, invalid("pieces", "has one of %d bytes of stream %.20q", len(piece.Data), piece.Stream)
		}
		known := from.Known(piece.Stream)
		if piece.Offset < *known || piece.Offset > math.MaxInt64-MaxOutputPart {
			return p, invalid("pieces", "has one at %d of stream %s; %d bytes are known", piece.Offset, piece.Stream, *known)
		}
		*known = piece.Offset + int64(len(piece.Data))
		total += len(piece.Data)
	}
	if total > MaxOutputPart {
		return p, invalid("pieces", "has %d bytes; at most %d", total, MaxOutputPart)
	}
	return p, nil
}
