package wasm

// What the tests of this package reach into.

// RequestOf is what a node tells the child about a task.
func RequestOf(t *Task) ([]byte, error) { return newRequest(t).encode() }

// ReadRequest and ReadAnswer read what the two sides say to each other.
func ReadRequest(b []byte) error { _, err := decodeRequest(b); return err }

// ReadAnswer reads what a child says.
func ReadAnswer(b []byte) error { _, err := decodeAnswer(b); return err }

// Answer is what a child may say.
type Answer = answer

// Text is the answer as it crosses the pipe.
func (a answer) Text() ([]byte, error) { return a.encode() }

// EntryBytes is what an entry of the cache counts at least.
const EntryBytes = entryBytes

// LiveEvery is how often what a program writes is shown.
const LiveEvery = liveEvery
