package p2p

import (
	"github.com/libp2p/go-libp2p/gologshim"
	"github.com/rs/zerolog"
)

// routeLogs sends libp2p's own errors to log, and its warnings to those who debug:
// it warns of every peer that hangs up. libp2p has one log per process: the first
// host that logs decides.
func routeLogs(log zerolog.Logger) {
	level := zerolog.ErrorLevel
	if log.GetLevel() <= zerolog.DebugLevel {
		level = zerolog.WarnLevel
	}
	gologshim.SetDefaultHandler(zerolog.NewSlogHandler(log.Level(level)))
}
