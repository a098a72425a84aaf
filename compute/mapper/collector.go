package mapper

import (
	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/template"
)

// collector makes items of elements, lines or rows. It looks at the bounds of a task
// before it takes one more: a short table with long names of columns is a very long
// list.
type collector struct {
	per     int
	grouped bool // an item is a list of per elements, else it is an element itself

	items [][]byte
	bytes int
	group []byte // of which the next item is made
	n     int    // elements in group
}

// add takes an item.
func (c *collector) add(item []byte) error {
	if len(c.items) == MaxItems {
		return compute.Invalid("data.over", "has more than %d items", MaxItems).WithHint("make an item of several with per")
	}
	if c.bytes += len(item); c.bytes > core.MaxTaskBytes {
		return tooWide()
	}
	c.items = append(c.items, item)
	return nil
}

// element takes what is an item, or one of per of it.
func (c *collector) element(element []byte) error {
	if !c.grouped {
		return c.add(element)
	}
	if c.n++; c.n == 1 {
		c.group = append(c.group, '[')
	} else {
		c.group = append(c.group, ',')
	}
	if c.group = append(c.group, element...); c.bytes+len(c.group) > core.MaxTaskBytes {
		return tooWide()
	}
	if c.n < c.per {
		return nil
	}
	return c.close()
}

// close makes an item of the elements that are left.
func (c *collector) close() error {
	if c.n == 0 {
		return nil
	}
	item := append(c.group, ']')
	c.group, c.n = nil, 0
	return c.add(item)
}

func tooWide() error {
	return compute.Invalid("data.over", "makes items of more than %d bytes together", core.MaxTaskBytes).
		WithHint("split the work over several tasks, or give the columns shorter names")
}

// carried refuses items that one part could not carry as a list, or that take too
// long to take apart.
func (t *task) carried() error {
	const frame = 128 // bytes of a part that are neither the task's data nor items
	long := 0
	for _, item := range t.items {
		long += len(item)
	}
	if n := len(t.data.Task.Data) + long + len(t.items) + frame; n > core.MaxTaskBytes {
		return compute.Invalid("data.over", "makes %d items that have %d bytes with the task; at most %d can be sent", len(t.items), n, core.MaxTaskBytes).
			WithHint("split the work over several tasks, or make an item of several with per")
	}
	if scan := t.text.Scan(long); scan > template.MaxScan {
		return compute.Invalid("data.task.data", "looks through %d bytes of the items; at most %d are allowed", scan, template.MaxScan).
			WithHint("use fewer paths, or give each item only what the template needs of it")
	}
	return nil
}
