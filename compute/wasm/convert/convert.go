package convert

import (
	"crypto/sha256"

	"github.com/tenzro/tenzro/compute/wasm/isa"
	"github.com/tenzro/tenzro/core"
)

// Version numbers the conversion: costs, weights and the shape of the output.
// Two nodes agree on fuel and results only under the same Version.
const Version = 1

// Names of what the converted module exports in addition to its own exports. A
// module that uses a name with ReservedPrefix itself is refused.
const (
	ReservedPrefix = "tenzro."
	// FuelExport is a mutable i64 global, 0 after instantiation. The host sets it
	// before every call it makes and reads what is left afterwards.
	FuelExport = "tenzro.fuel"
	// StackExport is a mutable i64 global, StackBudget after instantiation. It is
	// back at the value it had when a call returns. After a trap it is not: the
	// host drops the instance or sets StackBudget again.
	StackExport = "tenzro.stack"
	// StartExport is the module's start function, exported instead of started,
	// because no code may run before the fuel is set. It exists if Info.Start is
	// true, takes and returns nothing, and must be called first.
	StartExport = "tenzro.start"
)

// MaxInput and MaxOutput bound the module before and after, in bytes.
const (
	MaxInput  = 32 << 20
	MaxOutput = 64 << 20
)

// Defaults and upper bounds of Options.
const (
	DefaultMaxPages         = 4096    // 256 MiB
	MaxPages                = 1 << 16 // 4 GiB, all a 32-bit address reaches
	DefaultMaxTableElements = 1 << 20
)

// Options says what the host allows. The zero value is what production uses, up
// to MaxPages.
type Options struct {
	// MaxPages is the most memory the module may have, in pages of 64 KiB: a
	// larger or missing maximum becomes this one, a larger minimum is refused. 0
	// means DefaultMaxPages; more than the constant MaxPages means that.
	MaxPages uint32
	// MaxTableElements does the same for the tables, in elements; each has an
	// equal share of it. 0 means DefaultMaxTableElements.
	MaxTableElements uint32
	// NoFuel, NoStack and NoNaN leave one change out. They exist for measuring
	// what that change costs; a module made with any of them must not be run for
	// a stranger.
	NoFuel, NoStack, NoNaN bool
	// exact charges every instruction on its own, which is what the blocks are
	// tested against.
	exact bool
}

// Converted is a module ready to be compiled.
type Converted struct {
	Code []byte
	Info Info
}

// Info describes a converted module. Imports and exports are in the order of the
// module, the exports without the reserved ones.
type Info struct {
	Version int
	Input   [sha256.Size]byte // SHA-256 of the module as it came
	Output  [sha256.Size]byte // SHA-256 of Converted.Code
	Imports []Import
	Exports []Export
	Memory  *Limits // nil without a memory; in pages, as in the output
	Start   bool    // whether StartExport exists
	// Functions and Instructions are what the module defines: how much there is
	// to compile.
	Functions, Instructions int
}

// ExternKind is what an import or export is.
type ExternKind uint8

// The kinds, numbered as in the binary format (section 5.5.5 of the
// specification).
const (
	ExternFunc ExternKind = iota
	ExternTable
	ExternMemory
	ExternGlobal
)

// String returns the keyword of the text format.
func (k ExternKind) String() string {
	switch k {
	case ExternFunc:
		return "func"
	case ExternTable:
		return "table"
	case ExternMemory:
		return "memory"
	case ExternGlobal:
		return "global"
	}
	return "unknown"
}

// FuncType is the signature of a function.
type FuncType struct{ Params, Results []isa.ValueType }

// Import is one thing the module wants from the host. Func is set for functions.
type Import struct {
	Module, Name string
	Kind         ExternKind
	Func         *FuncType
}

// Export is one thing the host can reach. Func is set for functions.
type Export struct {
	Name string
	Kind ExternKind
	Func *FuncType
}

// Limits is a size with its bound, in pages or elements.
type Limits struct {
	Min uint32
	Max uint32
}

// Stop says why a call into a converted module trapped.
type Stop uint8

// The reasons.
const (
	StopTrap  Stop = iota // the guest's own doing: unreachable, division by zero, out of bounds
	StopFuel              // the fuel ran out
	StopStack             // the calls were nested too deeply
)

// String returns the snake_case name.
func (s Stop) String() string {
	switch s {
	case StopFuel:
		return "out_of_fuel"
	case StopStack:
		return "stack_overflow"
	}
	return "trap"
}

// StopOf tells the reason of a trap from the values of FuelExport and
// StackExport read after it. Either is negative only when it ran out.
func StopOf(fuel, stack int64) Stop {
	switch {
	case fuel < 0:
		return StopFuel
	case stack < 0:
		return StopStack
	}
	return StopTrap
}

// Convert validates module and returns the metered, canonical form of it. The
// module is not changed and not kept. A module that is malformed, invalid, over
// a limit or uses what is not supported is a *core.Error of kind core.Invalid
// with Op "module", whose message names the section and the offset or function.
func Convert(module []byte, o Options) (Converted, error) {
	if len(module) > MaxInput {
		return Converted{}, core.Errorf(core.Invalid, "module", "the module has %d bytes, at most %d are allowed", len(module), MaxInput).
			WithHint("strip debug information, or split the work")
	}
	m, err := decode(module)
	if err != nil {
		return Converted{}, err
	}
	return rewrite(m, o.normal())
}

// normal replaces zero values and bounds the rest.
func (o Options) normal() Options {
	if o.MaxPages == 0 {
		o.MaxPages = DefaultMaxPages
	}
	if o.MaxTableElements == 0 {
		o.MaxTableElements = DefaultMaxTableElements
	}
	o.MaxPages = min(o.MaxPages, MaxPages)
	return o
}
