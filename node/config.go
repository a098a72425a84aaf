package node

import (
	"time"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/container"
	"github.com/tenzro/tenzro/core"
)

// Config is everything a node is told from outside. Package internal/cli fills
// it from flags, environment and files; Validate is called by New.
type Config struct {
	Home    string         // directory of key, peers, tokens, runtime.json, logs; locked while the node runs
	Network core.NetworkID // networks never mix
	Region  core.RegionID  // empty: chosen by round-trip time, or a region of one
	Roles   core.RoleSet   // empty: from the hardware profile
	Mode    core.Mode      // how much the node relies on coordinators at its start
	Log     LogConfig
	P2P     P2PConfig
	HTTP    HTTPConfig
	Compute ComputeConfig
	Jobs    JobsConfig
	Storage StorageConfig
	Trace   TraceConfig
	// Version is the build's version, shown in status and health.
	Version string
}

// LogConfig is read by internal/cli only; it is here so that `config show`
// prints one tree.
type LogConfig struct {
	Level  string // error, warn, info, debug, trace
	Format string // auto, console, json
}

// P2PConfig is the network side.
type P2PConfig struct {
	Port         int      // TCP and QUIC/UDP; 0 = any free
	WSPort       int      // WebSocket; 0 = any free, -1 = off
	ListenIPs    []string // empty = all addresses
	Bootstrap    []string // multiaddrs that end in /p2p/<id>
	LANPort      int      // UDP discovery; 0 = any free, -1 = off
	MDNS         bool
	MinPeers     int    // authenticated peers before outside work is taken; 0 = 3 on the internet, 1 among private addresses
	Standalone   bool   // take work without peers
	Reachability string // "", public or private: overrules what AutoNAT finds
}

// HTTPConfig is the API and the metrics listener.
type HTTPConfig struct {
	Addr         string   // host:port of the API; port 0 = any free
	MetricsAddr  string   // host:port of metrics; empty = off
	Auth         string   // auto (none on loopback, token elsewhere), none, token
	Insecure     bool     // allow auth none on addresses that are not loopback
	AllowedHosts []string // Host headers besides the listener's own
	SeedNames    bool     // also publish metrics under their trinity_* names
	RateLimit    int      // requests per second of one token or remote address; 0 = 2,000 and 200
	MaxOpenTasks int      // unfinished tasks of one token; 0 = 10,000
	MaxOpenMB    int      // MiB of data in them; 0 = 256
}

// ComputeConfig bounds what the node gives to others.
type ComputeConfig struct {
	MaxCPU      int   // percent of the machine, 1..100
	MaxMemoryMB int64 // 0 = what the machine has
	Slots       int   // subtasks at once; 0 = number of cores
	Price       int64 // asked for a million operations, in base units
	// Hours are when the machine works for others, as compute.ParseSchedule reads
	// them; empty = always.
	Hours          string
	PauseOnBattery bool
	MaxCelsius     int   // takes no work when hotter; 0 = whatever its heat
	Warm           int   // sandbox children kept ready on a node that computes; 0 = none
	CacheMB        int64 // MiB of compiled programs kept on disk; 0 = the default of package compute/wasm
	Containers     ContainersConfig
}

// ContainersConfig is whether strangers' containers are run, and which.
type ContainersConfig struct {
	On     bool
	Socket string           // of the container engine; empty = container.DefaultSocket
	Images container.Images // the only ones that are run
	Pull   bool             // have the engine fetch those of them that it does not have
}

// StorageConfig bounds the objects that are put at this node.
type StorageConfig struct {
	ObjectsMB  int64         // MiB on disk; 0 = the default of package storage/disk
	ObjectsFor time.Duration // how long an object is kept after its last use; 0 = the default
}

// TraceConfig says where spans go besides the node's own memory.
type TraceConfig struct {
	Endpoint string // URL of an OTLP/HTTP collector; empty: nowhere
}

// JobsConfig are the times of the job protocol; zero values take the defaults
// of package jobs.
type JobsConfig struct {
	LeaseTTL     time.Duration
	QueueTimeout time.Duration
	MaxQueued    int // jobs a region holds at once before it refuses
	Speculation  int // percent of the running subtasks that may run a second time; below 0 = off
	// Journal is where the region's journal is: JournalDisk or JournalMemory. Empty is
	// on disk.
	Journal      string
	KeepFinished int           // finished jobs remembered on disk; 0 = the journal's default
	KeepFor      time.Duration // how long; 0 = the journal's default
	// AdmitAny lets every node that keeps the same region join its group, Members
	// those named. Everybody else waits for an operator.
	AdmitAny bool
	Members  []core.NodeID
}

// Validate checks what package node itself relies on; everything else is checked
// where it is used.
func (c Config) Validate() error {
	if c.Home == "" {
		return core.Errorf(core.Invalid, "home", "no home directory is given").WithHint("name one with --home")
	}
	if _, err := core.ParseNetworkID(string(c.Network)); err != nil {
		return err
	}
	if c.Region != "" {
		if _, err := core.ParseRegionID(string(c.Region)); err != nil {
			return err
		}
	}
	if c.Compute.MaxCPU < 0 || c.Compute.MaxCPU > 100 || c.Compute.MaxMemoryMB < 0 || c.Compute.Slots < 0 || c.Compute.Price < 0 ||
		c.Compute.Warm < 0 || c.Compute.CacheMB < 0 {
		return core.Errorf(core.Invalid, "compute", "the compute limits are out of range: CPU is 1 to 100 percent, everything else is not negative")
	}
	if c.Compute.MaxCelsius < 0 {
		return core.Errorf(core.Invalid, "compute", "the temperature limit is negative: it is degrees Celsius, 0 for none")
	}
	if c.Storage.ObjectsMB < 0 || c.Storage.ObjectsFor < 0 {
		return core.Errorf(core.Invalid, "storage", "the limits of objects are out of range: they are not negative")
	}
	if c.Compute.Containers.On && len(c.Compute.Containers.Images) == 0 {
		return core.Errorf(core.Invalid, "compute.containerImages", "containers are switched on and no image is allowed").
			WithHint("allow images by their digest with --container-image, or leave --containers out")
	}
	if _, err := compute.ParseSchedule(c.Compute.Hours); err != nil {
		return err
	}
	return nil
}
