package global

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

const (
	// maxListed is how many regions are asked for one list; the others are named as
	// missing.
	maxListed = 16
	// listTimeout is how long one of them may take, finding it included.
	listTimeout = 2 * time.Second
)

// Known returns the regions that a gateway knows of, its own first, then the one
// it works for, then the others by name; each once.
func (c *CrossRegion) Known(now time.Time) []core.RegionID {
	all := []core.RegionID{c.node.Own()}
	add := func(r core.RegionID) {
		if r != "" && !slices.Contains(all, r) {
			all = append(all, r)
		}
	}
	add(c.node.Nearest())
	for _, r := range c.regions.Regions(now) {
		add(r.Summary.Region)
	}
	return all
}

// listing is what one region answered.
type listing struct {
	region core.RegionID
	tasks  []core.TaskStatus
	err    error
}

// List returns a page of the tasks of all regions, or of the one that f names,
// newest first. The regions are asked at once; those that do not answer in time
// are named, and only when none does it is an error.
func (c *Coordinator) List(ctx context.Context, f core.TaskFilter) (core.TaskPage, error) {
	if err := f.Validate(); err != nil {
		return core.TaskPage{}, err
	}
	regions := c.deps.Regions.Known(time.Now())
	if f.Region != "" {
		regions = []core.RegionID{f.Region}
	}
	page := core.TaskPage{Tasks: []core.TaskStatus{}, Incomplete: slices.Clone(regions[min(len(regions), maxListed):])}
	answers := c.listAll(ctx, regions[:min(len(regions), maxListed)], f)
	var failed error
	for _, a := range answers {
		if a.err != nil {
			failed = a.err
			page.Incomplete = append(page.Incomplete, a.region)
			continue
		}
		page.Tasks = append(page.Tasks, a.tasks...)
	}
	if failed != nil && len(page.Incomplete) == len(regions) {
		return core.TaskPage{}, failed
	}
	slices.Sort(page.Incomplete)
	return cut(page, f.Limit), nil
}

// cut sorts what came from all regions and keeps one page of it.
func cut(page core.TaskPage, limit int) core.TaskPage {
	slices.SortFunc(page.Tasks, func(a, b core.TaskStatus) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.TaskID, b.TaskID))
	})
	if len(page.Tasks) > limit {
		last := page.Tasks[limit-1]
		page.Tasks, page.Next = page.Tasks[:limit], core.Cursor{Created: last.Created, ID: last.TaskID}.String()
	}
	return page
}

// listAll asks every region at once, in the order of regions.
func (c *Coordinator) listAll(ctx context.Context, regions []core.RegionID, f core.TaskFilter) []listing {
	out := make([]listing, len(regions))
	var asked sync.WaitGroup
	for i, region := range regions {
		asked.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, listTimeout)
			defer cancel()
			tasks, err := c.listOne(ctx, region, f)
			out[i] = listing{region, tasks, err}
		})
	}
	asked.Wait()
	return out
}

// listOne asks one region for one task more than wanted, which tells whether
// there are more, and keeps only what is that region's own to tell.
func (c *Coordinator) listOne(ctx context.Context, region core.RegionID, f core.TaskFilter) ([]core.TaskStatus, error) {
	f.Limit++
	answer, err := c.query(ctx, region, wire.JobQuery{Op: wire.QueryList, List: &f})
	if err != nil {
		return nil, err
	}
	tasks, err := wire.DecodeTaskList(answer, f.Limit)
	if err != nil {
		return nil, core.Errorf(core.Corrupt, "list", "region %s answered something else than a list: %w", region, err)
	}
	return slices.DeleteFunc(tasks, func(t core.TaskStatus) bool { return c.home(t.TaskID) != region }), nil
}

// home is the region that keeps a task.
func (c *Coordinator) home(id core.TaskID) core.RegionID {
	if home, ok := id.Home(); ok {
		return home
	}
	return c.deps.Own()
}

// query puts a question to a region and returns what its answer holds.
func (c *Coordinator) query(ctx context.Context, region core.RegionID, q wire.JobQuery) (json.RawMessage, error) {
	node, err := c.deps.Routes.Link(ctx, region)
	if err != nil {
		return nil, err
	}
	state, err := c.deps.Dispatcher.Ask(ctx, node, q)
	if err != nil {
		return nil, err
	}
	if state.Fault != nil {
		return nil, state.Fault.Err()
	}
	return state.Output.Inline, nil
}

// Why asks a task's home why it is where it is.
func (c *Coordinator) Why(ctx context.Context, id core.TaskID) (core.TaskWhy, error) {
	answer, err := c.query(ctx, c.home(id), wire.JobQuery{TaskID: id, Op: wire.QueryWhy})
	if err != nil {
		return core.TaskWhy{}, err
	}
	why, err := wire.DecodeTaskWhy(answer, id)
	if err != nil {
		return why, core.Errorf(core.Corrupt, "why", "region %s answered something else: %w", c.home(id), err)
	}
	return why, nil
}
