package cli

import (
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"
	"gopkg.in/natefinch/lumberjack.v2"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/node"
)

// Where the log is, in the home directory.
const (
	logDir  = "logs"
	logFile = "tenzro.log"
)

// Bounds of the log file: at most logBackups+1 files of logMegabytes each.
const (
	logMegabytes = 32
	logBackups   = 4
	logDays      = 28
)

// logger writes JSON to the home's log file and, for people or machines, to
// stderr.
type logger struct {
	zerolog.Logger
	file io.Closer
}

// Close ends the log file.
func (l *logger) Close() error { return l.file.Close() }

// newLogger opens <home>/logs/tenzro.log. Format auto means console lines when
// stderr is a terminal, JSON otherwise.
func newLogger(cfg node.LogConfig, home string, stderr io.Writer) (*logger, error) {
	level, err := zerolog.ParseLevel(cfg.Level)
	if err != nil {
		return nil, core.Errorf(core.Invalid, "log.level", "log level %.20q is unknown", cfg.Level).WithHint("use error, warn, info, debug or trace")
	}
	dir := filepath.Join(home, logDir)
	file := filepath.Join(dir, logFile)
	if err := openable(dir, file); err != nil {
		return nil, core.Errorf(core.Unavailable, "log", "opening the log: %w", err).
			WithHint("check the permissions and the free space of " + dir)
	}
	rotating := &lumberjack.Logger{Filename: file, MaxSize: logMegabytes, MaxBackups: logBackups, MaxAge: logDays}
	terminal := isTerminal(stderr)
	if cfg.Format == "console" || cfg.Format == "auto" && terminal {
		stderr = zerolog.ConsoleWriter{Out: stderr, NoColor: !terminal, TimeFormat: "15:04:05.000"}
	}
	out := zerolog.MultiLevelWriter(zerolog.SyncWriter(stderr), rotating)
	return &logger{Logger: zerolog.New(out).Level(level).Hook(utcTime{}), file: rotating}, nil
}

// openable tells at the start, not at the first line, that nothing can be
// logged.
func openable(dir, file string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// utcTime stamps each line in UTC with milliseconds; zerolog's own stamp is set
// by a variable of its package.
type utcTime struct{}

// Run implements zerolog.Hook.
func (utcTime) Run(e *zerolog.Event, _ zerolog.Level, _ string) {
	e.Str(zerolog.TimestampFieldName, time.Now().UTC().Format("2006-01-02T15:04:05.000Z07:00"))
}
