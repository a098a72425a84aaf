package wasm

import (
	"github.com/tetratelabs/wazero/experimental"
)

// pageBytes is a page of WebAssembly's memory.
const pageBytes = 1 << 16

// allocator gives a guest its memory and remembers when it asked for more than it
// may have: a guest that then traps did so for want of memory.
type allocator struct {
	limit   uint64 // bytes
	refused bool
}

var _ experimental.MemoryAllocator = (*allocator)(nil)

// Allocate implements experimental.MemoryAllocator.
func (a *allocator) Allocate(_, _ uint64) experimental.LinearMemory { return &linear{of: a} }

// linear is one memory.
type linear struct {
	of  *allocator
	buf []byte
}

// Reallocate implements experimental.LinearMemory. The capacity doubles, so that a
// guest that grows page by page does not copy all of it each time.
func (m *linear) Reallocate(size uint64) []byte {
	if size > m.of.limit {
		m.of.refused = true
		return nil
	}
	if size > uint64(cap(m.buf)) {
		next := make([]byte, size, min(max(size, 2*uint64(cap(m.buf))), m.of.limit))
		copy(next, m.buf)
		m.buf = next
	}
	m.buf = m.buf[:size]
	return m.buf
}

// Free implements experimental.LinearMemory.
func (m *linear) Free() { m.buf = nil }
