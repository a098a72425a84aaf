// Package storagetest holds stores of objects to the contract of package storage:
// Suite is what every implementation passes, and Memory is one without a disk, for
// whatever needs a store. Only tests import it.
package storagetest

import (
	"bytes"
	"context"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/storage"
)

// Keep is the retention of a Memory.
const Keep = time.Hour

// Memory is a storage.Store in memory. The zero value is empty and ready.
type Memory struct {
	mu      sync.Mutex
	objects map[core.ObjectID]object
}

type object struct {
	info storage.Info
	data []byte
}

var _ storage.Store = (*Memory)(nil)

// Put implements storage.Store.
func (m *Memory) Put(_ context.Context, r io.Reader) (storage.Info, bool, error) {
	data, err := io.ReadAll(io.LimitReader(r, storage.MaxObjectBytes+1))
	switch {
	case err != nil:
		return storage.Info{}, false, err
	case len(data) > storage.MaxObjectBytes:
		return storage.Info{}, false, storage.TooLarge()
	}
	id := core.ObjectOf(data)
	m.mu.Lock()
	defer m.mu.Unlock()
	_, known := m.objects[id]
	return m.set(id, data), !known, nil
}

// set keeps an object as used now. The caller holds mu.
func (m *Memory) set(id core.ObjectID, data []byte) storage.Info {
	if m.objects == nil {
		m.objects = map[core.ObjectID]object{}
	}
	now := time.Now().UTC()
	info := storage.Info{ID: id, Size: int64(len(data)), Used: now, Expires: now.Add(Keep)}
	m.objects[id] = object{info, data}
	return info
}

// Keep takes a copy, for what fetches objects from other nodes.
func (m *Memory) Keep(_ context.Context, id core.ObjectID, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.set(id, bytes.Clone(data))
	return nil
}

// Get implements storage.Store.
func (m *Memory) Get(_ context.Context, id core.ObjectID) (storage.Info, []byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, known := m.objects[id]
	if !known {
		return storage.Info{}, nil, storage.NotFound(id)
	}
	return o.info, o.data, nil
}

// Delete implements storage.Store.
func (m *Memory) Delete(_ context.Context, id core.ObjectID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.objects[id]; !known {
		return storage.NotFound(id)
	}
	delete(m.objects, id)
	return nil
}

// List implements storage.Store.
func (m *Memory) List(_ context.Context, after string, limit int) (storage.Page, error) {
	if err := storage.CheckPage(limit); err != nil {
		return storage.Page{}, err
	}
	var behind storage.Cursor
	if after != "" {
		var err error
		if behind, err = storage.ParseCursor(after); err != nil {
			return storage.Page{}, err
		}
	}
	newer := func(a, b storage.Cursor) int {
		if c := b.Used.Compare(a.Used); c != 0 {
			return c
		}
		return slices.Compare(b.ID[:], a.ID[:])
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	page := storage.Page{Objects: []storage.Info{}}
	for _, o := range m.objects {
		if at := (storage.Cursor{Used: o.info.Used, ID: o.info.ID}); after == "" || newer(at, behind) > 0 {
			page.Objects = append(page.Objects, o.info)
		}
	}
	slices.SortFunc(page.Objects, func(a, b storage.Info) int {
		return newer(storage.Cursor{Used: a.Used, ID: a.ID}, storage.Cursor{Used: b.Used, ID: b.ID})
	})
	if len(page.Objects) > limit {
		page.Objects = page.Objects[:limit]
		page.Next = storage.Cursor{Used: page.Objects[limit-1].Used, ID: page.Objects[limit-1].ID}.String()
	}
	return page, nil
}
