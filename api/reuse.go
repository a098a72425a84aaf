package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"

	"github.com/tenzro/tenzro/core"
)

const (
	// reuseKey begins the keys of tasks that may be answered by an earlier one.
	reuseKey = "reuse-"
	// maxReuse is how many tasks of one content may fail before it has to be
	// submitted without reuse: each is asked for in turn.
	maxReuse = 16
)

func reuseParam() param {
	return param{inQuery, "reuse", "true: answer with your earlier task of exactly this content, if the network remembers one that did not fail, instead of computing again"}
}

// reuse reads ?reuse=, false when absent.
func (x *exchange) reuse() (bool, error) {
	v := x.query.Get("reuse")
	if v == "" {
		return false, nil
	}
	yes, err := strconv.ParseBool(v)
	if err != nil {
		return false, core.Errorf(core.Invalid, "reuse", "reuse %.40q is neither true nor false", v)
	}
	return yes, nil
}

// submitOnce submits a task under a key that its content makes, so that any
// gateway finds the one there is. One that has failed or was cancelled is no
// answer: its id makes the next key, so that whoever asks again, or at the same
// time, finds what follows it.
func (s *Server) submitOnce(ctx context.Context, spec core.TaskSpec) (core.TaskStatus, error) {
	text, err := json.Marshal(spec) // the submitter is the gateway's part of every key
	if err != nil {
		return core.TaskStatus{}, core.Errorf(core.Invalid, "data", "the task cannot be encoded: %w", err)
	}
	key := contentKey(text)
	for range maxReuse {
		status, err := s.deps.Tasks.Submit(ctx, spec, key)
		if err != nil {
			return core.TaskStatus{}, err
		}
		if now, err := s.deps.Tasks.Status(ctx, status.TaskID); err == nil {
			status = now
		}
		if !status.Status.Final() || status.Status == core.TaskCompleted {
			return status, nil
		}
		key = contentKey([]byte(key + " " + string(status.TaskID)))
	}
	return core.TaskStatus{}, core.Errorf(core.Exhausted, "reuse", "a task of this content has failed or was cancelled %d times", maxReuse).
		WithHint("submit it without reuse, and see with `tenzro task why` what it lacks")
}

func contentKey(text []byte) string {
	sum := sha256.Sum256(text)
	return reuseKey + hex.EncodeToString(sum[:])
}
