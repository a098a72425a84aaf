package core

import "fmt"

// Mode is how much a node relies on coordinators (document 2, "Migration
// Strategy"). The zero value is ModeHybrid.
type Mode uint8

// The modes, in the order of the documented phases.
const (
	ModeHybrid     Mode = iota // gateways hand tasks to regions, and run them by themselves where none is in reach
	ModeP2PPrimary             // gateways run tasks by themselves, and hand to a region what their workers cannot do
	ModeP2P                    // nobody relies on a coordinator
)

//archtest:constant
var modeNames = [...]string{"hybrid", "p2p-primary", "p2p"}

// Modes returns the names of all modes.
func Modes() []string { return append([]string(nil), modeNames[:]...) }

// ParseMode returns the mode of a name, core.Invalid for any other text.
func ParseMode(s string) (Mode, error) {
	for m, name := range modeNames {
		if s == name {
			return Mode(m), nil
		}
	}
	return 0, Errorf(Invalid, "mode", "mode %.40q does not exist", s).WithHint("use hybrid, p2p-primary or p2p")
}

// String returns "hybrid", "p2p-primary" or "p2p".
func (m Mode) String() string {
	if int(m) < len(modeNames) {
		return modeNames[m]
	}
	return fmt.Sprintf("mode_%d", uint8(m))
}

// Coordinated reports whether coordinators of regions are used.
func (m Mode) Coordinated() bool { return m != ModeP2P }

// PeerFirst reports whether a gateway's own workers come before regions.
func (m Mode) PeerFirst() bool { return m != ModeHybrid }
