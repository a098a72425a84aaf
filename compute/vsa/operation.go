package vsa

import "slices"

// result is what an operation leaves.
type result uint8

const (
	aVector result = iota
	aNumber
	someMatches
)

// operation is one row of the table of operations.
type operation struct {
	name        string
	least, most int // operands
	gives       result
	by          bool // takes by
	codebook    bool // takes codebook
	top         bool // takes top
	units       float64
}

// MaxOperands is how many vectors one step takes at most.
const MaxOperands = 4096

const bundleUnits = 2 // of a word of a vector that is bundled

// operations is the whole table. Units are estimated nanoseconds for a word of
// an operand; those of a search come from its codebook.
func operations() []operation {
	return []operation{
		{name: "bind", least: 2, most: MaxOperands, units: 1.5},
		{name: "unbind", least: 2, most: 2, units: 1.5},
		{name: "bundle", least: 1, most: MaxOperands, units: bundleUnits},
		{name: "permute", least: 1, most: 1, by: true, units: 3},
		{name: "negate", least: 1, most: 1, units: 1.5},
		{name: "similarity", least: 2, most: 2, gives: aNumber, units: 1},
		{name: "search", least: 1, most: 1, gives: someMatches, codebook: true, top: true},
		{name: "cleanup", least: 1, most: 1, codebook: true},
	}
}

// Operations returns the names of all operations.
func Operations() []string {
	var names []string
	for _, op := range operations() {
		names = append(names, op.name)
	}
	return names
}

func operationOf(name string) (operation, bool) {
	table := operations()
	i := slices.IndexFunc(table, func(op operation) bool { return op.name == name })
	if i < 0 {
		return operation{}, false
	}
	return table[i], true
}
