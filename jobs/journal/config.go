package journal

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/tenzro/tenzro/core"
)

// GroupConfig is what a Group is. Zero fields take the defaults.
type GroupConfig struct {
	Dir     string // its directory, created if missing
	Self    core.NodeID
	Region  core.RegionID
	Network core.NetworkID
	// Streams reaches the other coordinators; nil: a group of one for ever.
	Streams Streams
	// Admit says whether a node that asks may join. nil: it waits until somebody
	// adds it.
	Admit func(core.NodeID) bool
	// Limits bounds the open jobs; Finished and FinishedBytes are not used.
	Limits Limits
	// Retention says how long finished jobs are kept.
	Retention Retention
	// Wait bounds a Commit, End or question to the leader. Default 5 s. Too small
	// makes slow disks look like outages, too big makes submitters wait for one.
	Wait time.Duration
	// Election is how long members do without a leader before they elect one.
	// Default 500 ms. Too small elects on every hiccup, too big makes failover slow.
	Election time.Duration
	// Dead is how long a voter is out of contact before a learner replaces it.
	// Default 30 s.
	Dead time.Duration
	// Reserve is the free space of the volume below which new jobs are refused,
	// in bytes. Default 64 MiB.
	Reserve uint64
	// Free returns the free bytes of the volume of a directory. Default statfs.
	Free func(dir string) (uint64, error)
	// Registerer takes the metrics; nil is legal.
	Registerer prometheus.Registerer
	// Now is the clock of retention and contact. Default time.Now.
	Now func() time.Time

	// Disk takes the place of the files in Dir; nil is right but in simulations.
	Disk Disk

	segmentBytes int // of a file of the log; tests make it small
	snapEntries  uint64
}

// Retention bounds the finished jobs on disk. Zero fields take the defaults.
type Retention struct {
	Jobs  int           // default 200,000
	Bytes int64         // of their records. Default 8 GiB
	Age   time.Duration // since they were created. Default 30 days
}

func (c GroupConfig) withDefaults() GroupConfig {
	c.Limits = c.Limits.withDefaults()
	orElse(&c.Retention.Jobs, 200_000)
	orElse(&c.Retention.Bytes, 8<<30)
	orElse(&c.Retention.Age, 30*24*time.Hour)
	orElse(&c.Wait, 5*time.Second)
	orElse(&c.Election, 500*time.Millisecond)
	orElse(&c.Dead, 30*time.Second)
	orElse(&c.Reserve, 64<<20)
	orElse(&c.segmentBytes, segmentBytes)
	orElse(&c.snapEntries, snapEntries)
	if c.Free == nil {
		c.Free = freeBytes
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

func orElse[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// freeBytes is what a process without privileges may still write on a volume.
func freeBytes(dir string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return uint64(s.Bavail) * uint64(s.Bsize), nil
}
