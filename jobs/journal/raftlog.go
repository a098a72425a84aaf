package journal

import (
	"fmt"
	"slices"

	"github.com/hashicorp/go-hclog"
	"github.com/rs/zerolog"
)

// raftLog passes what raft and its log say on at level debug: what an operator
// must know, the group says itself.
type raftLog struct {
	hclog.Logger // discards; the methods below are the ones that are used
	log          zerolog.Logger
	args         []any
}

func newRaftLog(log zerolog.Logger) hclog.Logger {
	return &raftLog{Logger: hclog.NewNullLogger(), log: log}
}

func (l *raftLog) say(level, msg string, args []any) {
	e := l.log.Debug()
	if !e.Enabled() {
		return
	}
	e.Str("raft", level)
	for pair := range slices.Chunk(slices.Concat(l.args, args), 2) {
		if len(pair) == 2 {
			e.Str(fmt.Sprint(pair[0]), render(pair[1]))
		}
	}
	e.Msg(msg)
}

func render(v any) string {
	if f, ok := v.(hclog.Format); ok && len(f) > 0 {
		return fmt.Sprintf(fmt.Sprint(f[0]), f[1:]...)
	}
	return fmt.Sprint(v)
}

// Log implements hclog.Logger.
func (l *raftLog) Log(level hclog.Level, msg string, args ...any) { l.say(level.String(), msg, args) }

// Trace implements hclog.Logger.
func (l *raftLog) Trace(msg string, args ...any) { l.say("trace", msg, args) }

// Debug implements hclog.Logger.
func (l *raftLog) Debug(msg string, args ...any) { l.say("debug", msg, args) }

// Info implements hclog.Logger.
func (l *raftLog) Info(msg string, args ...any) { l.say("info", msg, args) }

// Warn implements hclog.Logger.
func (l *raftLog) Warn(msg string, args ...any) { l.say("warn", msg, args) }

// Error implements hclog.Logger.
func (l *raftLog) Error(msg string, args ...any) { l.say("error", msg, args) }

// With implements hclog.Logger.
func (l *raftLog) With(args ...any) hclog.Logger {
	return &raftLog{Logger: l.Logger, log: l.log, args: slices.Concat(l.args, args)}
}

// Named implements hclog.Logger.
func (l *raftLog) Named(string) hclog.Logger { return l }
