package sandbox

// The protections a child puts up itself and reports.
const (
	wallLimits = "limits"
	wallCalls  = "system calls"
)

// Protection is one wall between a child and the machine, and whether this
// machine gives it.
type Protection struct {
	Name   string // a word, see docs/sandbox.md
	Active bool
	// Strong is set for what should stand on every machine of this system: a node
	// without it trusts the engine alone.
	Strong bool
	Detail string // what is there, or why it is not
}

// Active tries which walls a pool of this process would put around its children.
// It starts no child and changes nothing but a thread that ends with it.
func Active() []Protection {
	done := make(chan []Protection)
	go apart(func() { done <- survey() })
	return append(<-done, surveyGroups())
}
