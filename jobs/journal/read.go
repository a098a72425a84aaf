package journal

import (
	"cmp"
	"slices"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
)

// Get implements Journal.
func (g *Group) Get(id core.TaskID) (jobs.Job, error) {
	if j, ok := g.m.live(id); ok {
		return j, nil
	}
	j, ok, err := g.hist.get(id)
	if err == nil && !ok {
		err = unknown(id)
	}
	return j, err
}

func (m *machine) live(id core.TaskID) (jobs.Job, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.open[id]
	if o == nil {
		return jobs.Job{}, false
	}
	return own(&o.live), true
}

func (m *machine) groupID() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.group
}

// Open implements Journal.
func (g *Group) Open() []OpenJob {
	g.m.mu.Lock()
	defer g.m.mu.Unlock()
	out := make([]OpenJob, 0, len(g.m.open))
	for _, o := range g.m.open {
		job := OpenJob{Job: own(&o.live), Parts: parts(o.parts)}
		for i, p := range o.mine {
			if _, kept := o.parts[i]; !kept {
				job.Unsure = append(job.Unsure, p.part)
			}
		}
		out = append(out, job)
	}
	slices.SortFunc(out, func(a, b OpenJob) int {
		return cmp.Or(a.Job.Created.Compare(b.Job.Created), cmp.Compare(a.Job.ID, b.Job.ID))
	})
	return out
}

// List implements Journal. Open jobs come from memory, finished ones from disk.
func (g *Group) List(f Filter) []jobs.Job {
	if f.Limit <= 0 {
		return nil
	}
	open := g.m.matching(f)
	seen := make(map[core.TaskID]bool, len(open))
	for _, j := range open {
		seen[j.ID] = true
	}
	var out []jobs.Job
	err := g.hist.list(f, func(j jobs.Job) bool {
		for len(open) > 0 && len(out) < f.Limit && newer(&open[0], &j) {
			out, open = append(out, open[0]), open[1:]
		}
		if len(out) < f.Limit && !seen[j.ID] { // one that ended just now is shown as it was
			out = append(out, j)
		}
		return len(out) < f.Limit
	})
	if err != nil {
		g.log.Error().Err(err).Msg("listing the finished jobs")
	}
	return append(out, open[:min(len(open), f.Limit-len(out))]...)
}

func newer(a, b *jobs.Job) bool {
	return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID)) < 0
}

func (m *machine) matching(f Filter) []jobs.Job {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []jobs.Job
	for _, o := range m.open {
		if f.match(&o.live) {
			out = append(out, own(&o.live))
		}
	}
	slices.SortFunc(out, func(a, b jobs.Job) int {
		if newer(&a, &b) {
			return -1
		}
		return 1
	})
	return out
}
