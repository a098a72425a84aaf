package convert

import "github.com/tenzro/tenzro/compute/wasm/isa"

// Costs in units of fuel. docs/spec/wasm-metering.md is the same table for
// people; TestCostPage keeps the two equal.
const (
	costPlain     = 1
	costVector    = 2  // an instruction on v128
	costDivide    = 8  // integer and floating-point division, remainder, square root
	costTable     = 3  // br_table
	costCall      = 5  // call
	costIndirect  = 10 // call_indirect
	costEntry     = 5  // entering a function, and 1 for every local
	costReference = 50 // ref.func
	costBulk      = 50 // bulk operations, beside what their length costs
	costGrow      = 200

	// softLimit is how much fuel a block may cost that a branch may skip without
	// being charged on its own.
	softLimit = 32
)

// Costs of length: memory.fill, memory.copy and memory.init cost a unit for each
// 8 bytes, memory.grow costs pageCost per page, table operations a unit and
// table.grow 2 units per element.
const (
	bytesShift    = 3
	pageCost      = 65536 >> bytesShift
	tableGrowCost = 2
)

// cost returns what an instruction costs, apart from the length of a bulk
// operation.
func cost(o *isa.Op) uint64 {
	switch c := o.Code; {
	case c == opUnreachable, c == opNop, c == opBlock, c == opLoop, c == opElse, c == opEnd, c == opDrop:
		return 0
	case c == opBrTable:
		return costTable
	case c == opCall:
		return costCall
	case c == opCallIndirect:
		return costIndirect
	case c == opRefFunc:
		return costReference
	case c == opMemoryGrow, c == opTableGrow:
		return costGrow
	case c >= opMemoryInit && c <= opTableFill && c != opTableSize:
		return costBulk
	case c>>8 == isa.PrefixVector && !divides(c):
		return costVector
	case divides(c):
		return costDivide
	}
	return costPlain
}

// divides reports whether c is a division, remainder or square root.
func divides(c isa.Opcode) bool {
	switch {
	case c >= 0x6d && c <= 0x70, c >= 0x7f && c <= 0x82: // integer div, rem
		return true
	}
	switch c {
	case 0x91, 0x95, 0x9f, 0xa3, 0xfde3, 0xfde7, 0xfdef, 0xfdf3: // sqrt, div
		return true
	}
	return false
}

// Weights on the stack. They are chosen so that no engine reaches a limit of its
// own first: an interpreter that allows 2,000 frames, and a compiler that allows
// 50 MB and gives every value a slot of 8 bytes.
const (
	// StackBudget is what StackExport holds when nothing runs.
	StackBudget = 1 << 18
	// frameWeight bounds the number of frames: StackBudget/frameWeight is 1,638.
	frameWeight = 160
	// slotsPerUnit values weigh one unit more: StackBudget is at most 32 MiB.
	slotsPerUnit = 16
	// maxSlots bounds the one frame that is entered before it is weighed.
	maxSlots = 1 << 21
	// leafSlots is the largest frame that needs no weighing in a function that
	// calls nothing: there is only one such frame at a time.
	leafSlots = 1 << 16
)

// weight returns what a frame with that many values weighs.
func weight(slots int) int64 {
	return frameWeight + int64(slots+slotsPerUnit-1)/slotsPerUnit
}

// segment is a metering block: instructions that are paid for together, at its
// beginning. A soft one begins where a branch may have left; it is paid for with
// the block in front of it, its head, if it is small.
type segment struct {
	at     int32 // the instruction in front of which it is charged
	head   int32 // of a soft one, the segment in front; -1 for others
	cost   uint64
	joined uint64 // what soft ones were added to it
}

// settle decides which segments are charged on their own and moves the costs of
// the others to their heads. Heads stand before what joins them.
func settle(segments []segment) {
	for i := range segments {
		s := &segments[i]
		if s.head < 0 {
			s.head = int32(i)
			continue
		}
		h := segments[s.head].head
		if head := &segments[h]; head.joined+s.cost <= softLimit {
			head.joined += s.cost
			s.cost, s.head = 0, h
			continue
		}
		s.head = int32(i)
	}
}
