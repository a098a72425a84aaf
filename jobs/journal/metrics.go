package journal

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"
)

// groupMetrics counts what a group does.
type groupMetrics struct {
	entries prometheus.Counter
	bytes   prometheus.Counter
	batch   prometheus.Histogram
	leaders prometheus.Counter
	gauges  []prometheus.Collector
}

// newGroupMetrics registers the metrics; a nil registerer is legal.
func newGroupMetrics(g *Group) (*groupMetrics, error) {
	gauge := func(name, help string, read func() float64) {
		g.metrics.gauges = append(g.metrics.gauges, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
	}
	g.metrics = &groupMetrics{
		entries: prometheus.NewCounter(prometheus.CounterOpts{Name: "tenzro_journal_entries_total", Help: "Entries written to the log."}),
		bytes:   prometheus.NewCounter(prometheus.CounterOpts{Name: "tenzro_journal_bytes_total", Help: "Bytes of the entries written to the log."}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "tenzro_journal_batch_entries",
			Help: "Entries written together; every write is one fsync.", Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128, 256}}),
		leaders: prometheus.NewCounter(prometheus.CounterOpts{Name: "tenzro_journal_led_total", Help: "How often this node became the leader of its region."}),
	}
	gauge("tenzro_journal_applied_index", "The last entry of the log that this node applied.", func() float64 { return float64(g.m.appliedIndex()) })
	gauge("tenzro_journal_open_jobs", "Jobs that have not ended.", func() float64 { return float64(g.m.openJobs()) })
	gauge("tenzro_journal_finished_jobs", "Finished jobs on disk.", func() float64 { return float64(g.hist.state().Jobs) })
	gauge("tenzro_journal_finished_bytes", "Bytes of the finished jobs on disk, before compression.", func() float64 { return float64(g.hist.state().Bytes) })
	gauge("tenzro_journal_members", "Coordinators of the region's group that this node knows.", func() float64 { return float64(g.size()) })
	gauge("tenzro_journal_voters", "Coordinators that vote, as far as this node knows.", func() float64 { return float64(g.voters(false)) })
	gauge("tenzro_journal_voters_silent", "Voters that this node, while it leads, has not heard of for 30 s.", func() float64 { return float64(g.voters(true)) })
	gauge("tenzro_journal_leader_known", "1 while this node knows who leads its region, itself or another; 0: nothing is acknowledged as far as it can see.", func() float64 {
		_, _, ok := g.Leader()
		return oneIf(ok)
	})
	gauge("tenzro_journal_leads", "1 while this node leads its region.", func() float64 {
		_, _, err := g.leading()
		return oneIf(err == nil)
	})
	gauge("tenzro_journal_free_bytes", "Free bytes of the volume of the journal.", g.freeSpace)
	return g.metrics, g.metrics.register(g.cfg.Registerer)
}

func (m *groupMetrics) all() []prometheus.Collector {
	return append([]prometheus.Collector{m.entries, m.bytes, m.batch, m.leaders}, m.gauges...)
}

func (m *groupMetrics) register(reg prometheus.Registerer) error {
	if reg == nil {
		return nil
	}
	for _, c := range m.all() {
		if err := reg.Register(c); err != nil {
			return err
		}
	}
	return nil
}

func (m *groupMetrics) unregister(reg prometheus.Registerer) {
	if reg == nil {
		return
	}
	for _, c := range m.all() {
		reg.Unregister(c)
	}
}

// wrote counts one write to the log, which is one fsync.
func (m *groupMetrics) wrote(entries, bytes int) {
	m.entries.Add(float64(entries))
	m.bytes.Add(float64(bytes))
	m.batch.Observe(float64(entries))
}

func (m *groupMetrics) led() { m.leaders.Inc() }

// freeSpace is no number where the volume does not say.
func (g *Group) freeSpace() float64 {
	free, err := g.cfg.Free(g.cfg.Dir)
	if err != nil {
		return math.NaN()
	}
	return float64(free)
}

// voters counts the voters, or those of them that are silent: only the leader
// hears of the others.
func (g *Group) voters(silent bool) (n int) {
	_, _, notLeading := g.leading()
	for _, s := range g.seats() {
		if s.Voter && (!silent || notLeading == nil && !g.alive(s)) {
			n++
		}
	}
	return n
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

func (m *machine) appliedIndex() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.applied
}

func (m *machine) openJobs() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.open)
}
