package global

import (
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
)

// TestFinishedTasksAreBounded: a gateway remembers ended tasks and their keys up
// to a count and a size, the newest always.
func TestFinishedTasksAreBounded(t *testing.T) {
	c := New(Deps{Events: event.New(0), ID: "gateway"}, zerolog.Nop())
	end := func(key string, size int) *task {
		task := newTask(c, core.NewTaskID(east, key), sample())
		if old, err := c.tasks.add(task, key, sample()); old != nil || err != nil {
			t.Fatalf("adding %s: %v, %v", key, old, err)
		}
		task.take(true)
		task.end(core.TaskResult{TaskID: task.id, Status: core.TaskCompleted, Result: make([]byte, size)})
		return task
	}
	for i := range 2 * maxFinished {
		end(time.Duration(i).String(), 1)
	}
	if n := len(c.tasks.tasks); n != maxFinished || len(c.tasks.keys) != maxFinished || c.tasks.bytes != maxFinished {
		t.Errorf("%d tasks of %d bytes with %d keys are remembered", n, c.tasks.bytes, len(c.tasks.keys))
	}
	for i := range 20 {
		end("big"+time.Duration(i).String(), 10<<20)
		held := 0
		for _, known := range c.tasks.tasks {
			held += len(known.result.Result)
		}
		for _, known := range c.tasks.keys {
			if c.tasks.tasks[known.id] != known {
				t.Fatalf("a key keeps %s in memory", known.id)
			}
		}
		if held > maxFinishedBytes || held != c.tasks.bytes {
			t.Fatalf("%d bytes are held, %d counted", held, c.tasks.bytes)
		}
	}
	if huge := end("huge", maxFinishedBytes+1); c.tasks.get(huge.id) != huge || len(c.tasks.tasks) != 1 {
		t.Errorf("the newest is not kept alone: %d tasks", len(c.tasks.tasks))
	}
}

// TestSecondTaskOfAnID: what is forgotten of a task that was refused is not taken
// from the one that came after it with the same key.
func TestSecondTaskOfAnID(t *testing.T) {
	c := New(Deps{Events: event.New(0), ID: "gateway"}, zerolog.Nop())
	add := func(id string) *task {
		task := newTask(c, core.NewTaskID(east, id), sample())
		if old, err := c.tasks.add(task, id, sample()); old != nil || err != nil {
			t.Fatalf("adding %s: %v, %v", id, old, err)
		}
		return task
	}
	refused := add("again")
	refused.refuse(core.Errorf(core.Unavailable, "region", "not now"))
	c.tasks.remove(refused)
	second := add("again")
	second.take(true)
	for i := range maxFinished {
		filler := newTask(c, core.NewTaskID(east, time.Duration(i).String()), sample())
		if _, err := c.tasks.add(filler, "", sample()); err != nil {
			t.Fatal(err)
		}
		filler.end(core.TaskResult{Status: core.TaskCompleted})
	}
	if c.tasks.get(second.id) != second || c.tasks.keys["again"] != second {
		t.Error("an open task is forgotten with its predecessor")
	}
}

// TestKeysAreBounded: beyond the bound the oldest key is forgotten, but not a use
// of it that is newer.
func TestKeysAreBounded(t *testing.T) {
	c := New(Deps{Events: event.New(0), ID: "gateway"}, zerolog.Nop())
	add := func(key, id string) *task {
		task := newTask(c, core.NewTaskID(east, id), sample())
		if old, err := c.tasks.add(task, key, sample()); old != nil || err != nil {
			t.Fatalf("adding %s: %v, %v", key, old, err)
		}
		task.take(true)
		return task
	}
	c.tasks.remove(add("again", "first"))
	second := add("again", "second")
	for i := range maxKeys - 1 {
		add(time.Duration(i).String(), "filler"+time.Duration(i).String())
	}
	if c.tasks.keys["again"] != second || len(c.tasks.order) != maxKeys {
		t.Errorf("the newer use of the key is forgotten with the older; %d uses known", len(c.tasks.order))
	}
	add("one more", "more")
	if c.tasks.keys["again"] != nil || len(c.tasks.keys) != maxKeys {
		t.Errorf("%d keys are remembered", len(c.tasks.keys))
	}
	if c.tasks.get(second.id) == nil {
		t.Error("an open task went with its key")
	}
}
