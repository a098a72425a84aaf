package core

// Stream is one of the two outputs that a program writes while it runs.
type Stream string

// The streams.
const (
	Stdout Stream = "stdout"
	Stderr Stream = "stderr"
)

// Valid reports whether s is one of the two.
func (s Stream) Valid() bool { return s == Stdout || s == Stderr }
