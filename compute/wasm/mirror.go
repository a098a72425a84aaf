package wasm

import (
	"hash/maphash"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
)

// mirror hands on what a child shows of a program's output, and in the end what it
// has not shown.
type mirror struct {
	report compute.Report
	shown  [2]shown
}

// shown is what a child has shown of one stream.
type shown struct {
	bytes int
	sum   maphash.Hash
}

// take gets a piece from the child.
func (m *mirror) take(s core.Stream, piece []byte) {
	of := &m.shown[0]
	if s == core.Stderr {
		of = &m.shown[1]
	}
	of.bytes += len(piece)
	_, _ = of.sum.Write(piece) // it cannot fail
	m.report.Output(s, piece)
}

// rest hands on what the answer has and was not shown. What was shown must be how
// it begins.
func (m *mirror) rest(stdout, stderr []byte) error {
	for i, all := range [][]byte{stdout, stderr} {
		of := &m.shown[i]
		if of.bytes == 0 {
			continue
		}
		if of.bytes > len(all) || maphash.Bytes(of.sum.Seed(), all[:of.bytes]) != of.sum.Sum64() {
			return corrupt("is not what the child has shown of it")
		}
	}
	m.report.Output(core.Stdout, stdout[m.shown[0].bytes:])
	m.report.Output(core.Stderr, stderr[m.shown[1].bytes:])
	return nil
}
