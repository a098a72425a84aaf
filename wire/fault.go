package wire

import (
	"errors"
	"strings"

	"github.com/tenzro/tenzro/core"
)

// MaxFaultText bounds each text of a Fault in bytes.
const MaxFaultText = 1 << 10

// FaultOf turns an error into what may cross the wire: its kind as the number of
// core.Kind, the field or operation, message and hint, each text cut to
// MaxFaultText bytes of valid UTF-8. FaultOf(nil) is nil.
func FaultOf(err error) *Fault {
	if err == nil {
		return nil
	}
	f := &Fault{Kind: core.KindOf(err), Message: bounded(err.Error())}
	var e *core.Error
	if errors.As(err, &e) {
		f.Field, f.Hint = bounded(e.Op), bounded(e.Hint)
	}
	return f
}

// Err turns a received Fault back into a *core.Error. A kind that this version
// does not know is Internal. The Err of a nil Fault is nil.
func (f *Fault) Err() error {
	if f == nil {
		return nil
	}
	kind := f.Kind
	if kind > core.Full {
		kind = core.Internal
	}
	return core.Errorf(kind, bounded(f.Field), "%s", bounded(f.Message)).WithHint(bounded(f.Hint))
}

func (f *Fault) validate(field string) error {
	if f == nil {
		return nil
	}
	return firstError(validText(field+".field", f.Field, MaxFaultText), validText(field+".message", f.Message, MaxFaultText),
		validText(field+".hint", f.Hint, MaxFaultText))
}

// bounded cuts s to MaxFaultText bytes and drops what is not UTF-8, the half
// rune at the cut included.
func bounded(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), MaxFaultText)], "")
}
