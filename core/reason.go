package core

// The reasons of programs, beside those of every task: what ended one that did
// not end by itself.
const (
	ReasonInvalidModule Reason = "invalid_module" // the module is malformed, or wants what is not granted
	ReasonOutOfFuel     Reason = "out_of_fuel"    // limits.fuel was used up
	ReasonStackOverflow Reason = "stack_overflow" // calls were nested too deeply
	ReasonMemoryLimit   Reason = "memory_limit"   // it needed more than limits.memoryMB
	ReasonOutputLimit   Reason = "output_limit"   // it wrote more than can be delivered
	ReasonTrap          Reason = "trap"           // it did what no program may, such as dividing by zero
)

// Certain reports whether the task failed for a reason in itself: run again, it
// would fail again.
func (r Reason) Certain() bool {
	switch r {
	case ReasonInvalidInput, ReasonOverflow, ReasonInvalidModule, ReasonOutOfFuel, ReasonStackOverflow,
		ReasonMemoryLimit, ReasonOutputLimit, ReasonTrap:
		return true
	}
	return false
}
