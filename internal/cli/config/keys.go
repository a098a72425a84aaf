package config

import (
	"slices"
	"strings"
	"time"

	"github.com/tenzro/tenzro/compute/container"
	"github.com/tenzro/tenzro/core"
)

// Bounds of what is read from outside.
const (
	maxFileBytes = 1 << 20
	maxListItems = 256
	maxPort      = 65535
	maxMemoryMB  = 16 << 20
)

// table is built once: loading goes over it for every place settings come from.
//
//archtest:constant
var table = newTable()

// Keys returns every setting in the order it is documented.
func Keys() []Key { return slices.Clone(table) }

func newTable() []Key {
	var all []Key
	for _, part := range [][]Key{identityKeys(), p2pKeys(), apiKeys(), computeKeys(), containerKeys(), jobKeys(), storageKeys(), logKeys(), traceKeys()} {
		all = append(all, part...)
	}
	sample := new(Settings)
	for i := range all {
		all[i].kind = all[i].bind(sample)
		all[i].env = envPrefix + strings.ToUpper(strings.ReplaceAll(all[i].Flag, "-", "_"))
	}
	return all
}

func identityKeys() []Key {
	return []Key{
		{Path: "home", Flag: "home", Arg: "DIR", Default: "~/.tenzro", NoFile: true,
			Doc:  "directory of the node's key, tokens, peers, logs and runtime.json",
			bind: func(s *Settings) any { return &s.Node.Home }},
		{Path: "network", Flag: "network", Arg: "NAME", Default: "main",
			Doc:  "network to join; networks never mix",
			bind: func(s *Settings) any { return &s.Network }},
		{Path: "region", Flag: "region", Arg: "NAME",
			Doc:  "region the node belongs to, for example us-east; empty: chosen by round-trip time",
			bind: func(s *Settings) any { return &s.Region }},
		{Path: "roles", Flag: "role", Arg: "NAME", Default: autoRole,
			Doc: "node type and duties, one or several: global, regional, local, inference, aggregator, trainer, " +
				"feedback, compute, storage, full, validator; auto: from the hardware",
			bind: func(s *Settings) any { return &s.Roles }},
		{Path: "mode", Flag: "mode", Arg: "MODE", Default: core.ModeHybrid.String(), OneOf: core.Modes(),
			Doc: "how much the node relies on coordinators; hybrid: tasks go to regions, and to own workers where none is in reach; " +
				"p2p-primary: to own workers, and to a region what these cannot do; p2p: without any coordinator",
			bind: func(s *Settings) any { return &s.Mode }},
		{Path: "tier", Flag: "tier", Arg: "NAME", OneOf: []string{"", "inference", "aggregator", "trainer", "training"},
			Doc:  "tier a worker declares: inference, aggregator or trainer; empty: from the hardware",
			bind: func(s *Settings) any { return &s.Tier }},
	}
}

func p2pKeys() []Key {
	return []Key{
		{Path: "p2p.port", Flag: "p2p-port", Arg: "PORT", Default: "9334", Max: maxPort,
			Doc:  "TCP and QUIC/UDP port of the node; 0: any free one",
			bind: func(s *Settings) any { return &s.Node.P2P.Port }},
		{Path: "p2p.wsPort", Flag: "ws-port", Arg: "PORT", Default: "9335", Min: -1, Max: maxPort,
			Doc:  "WebSocket port of the node; 0: any free one; -1: off",
			bind: func(s *Settings) any { return &s.Node.P2P.WSPort }},
		{Path: "p2p.lanPort", Flag: "lan-port", Arg: "PORT", Default: "9333", Min: -1, Max: maxPort,
			Doc:  "UDP port of local-network discovery; 0: any free one; -1: off",
			bind: func(s *Settings) any { return &s.Node.P2P.LANPort }},
		{Path: "p2p.listen", Flag: "listen", Arg: "IP",
			Doc:  "addresses to listen on, one or several; empty: all",
			bind: func(s *Settings) any { return &s.Node.P2P.ListenIPs }},
		{Path: "p2p.bootstrap", Flag: "bootstrap", Arg: "MULTIADDR",
			Doc:  "nodes to join through, one or several, for example /dns4/node.example/tcp/9334/p2p/12D3KooW...",
			bind: func(s *Settings) any { return &s.Node.P2P.Bootstrap }},
		{Path: "p2p.mdns", Flag: "mdns", Default: "false",
			Doc:  "also find nodes of the local network by multicast DNS",
			bind: func(s *Settings) any { return &s.Node.P2P.MDNS }},
		{Path: "p2p.minPeers", Flag: "min-peers", Arg: "N", Default: "0", Max: 1000,
			Doc:  "authenticated peers the node waits for before it takes work from outside; 0: 3 on the internet, 1 among private addresses",
			bind: func(s *Settings) any { return &s.Node.P2P.MinPeers }},
		{Path: "p2p.standalone", Flag: "standalone", Default: "false",
			Doc:  "take work without any peer",
			bind: func(s *Settings) any { return &s.Node.P2P.Standalone }},
		{Path: "p2p.reachability", Flag: "reachability", Arg: "HOW", OneOf: []string{"", "public", "private"},
			Doc:  "public or private, when the node cannot find out itself; empty: it finds out",
			bind: func(s *Settings) any { return &s.Node.P2P.Reachability }},
	}
}

func apiKeys() []Key {
	return []Key{
		{Path: "api.addr", Flag: "http", Arg: "ADDR", Default: "127.0.0.1:8080",
			Doc:  "host:port of the HTTP API, or only a port on the loopback address; port 0: any free one",
			bind: func(s *Settings) any { return &s.Node.HTTP.Addr }},
		{Path: "api.auth", Flag: "auth", Arg: "HOW", Default: "auto", OneOf: []string{"auto", "none", "token"},
			Doc:  "who may use the API: none, token, or auto (none on loopback, token elsewhere)",
			bind: func(s *Settings) any { return &s.Node.HTTP.Auth }},
		{Path: "api.insecure", Flag: "insecure", Default: "false",
			Doc:  "allow auth none on an address that is not loopback",
			bind: func(s *Settings) any { return &s.Node.HTTP.Insecure }},
		{Path: "api.allowedHosts", Flag: "allow-host", Arg: "HOST",
			Doc:  "Host headers to accept besides the listener's own, one or several",
			bind: func(s *Settings) any { return &s.Node.HTTP.AllowedHosts }},
		{Path: "api.rateLimit", Flag: "rate-limit", Arg: "N", Default: "0", Max: 1_000_000,
			Doc:  "requests per second of one token or one remote address, bursts of twice as much; 0: 2000 with a token, 200 from an address",
			bind: func(s *Settings) any { return &s.Node.HTTP.RateLimit }},
		{Path: "api.maxOpenTasks", Flag: "max-open-tasks", Arg: "N", Default: "10000", Min: 1, Max: 10_000_000,
			Doc:  "unfinished tasks of one token's name before more are refused with 429",
			bind: func(s *Settings) any { return &s.Node.HTTP.MaxOpenTasks }},
		{Path: "api.maxOpenMB", Flag: "max-open-mb", Arg: "MIB", Default: "256", Min: 1, Max: maxMemoryMB,
			Doc:  "data of the unfinished tasks of one token's name in MiB",
			bind: func(s *Settings) any { return &s.Node.HTTP.MaxOpenMB }},
		{Path: "metrics.addr", Flag: "metrics", Arg: "ADDR", Default: "127.0.0.1:9090",
			Doc:  "host:port of the metrics, or only a port on the loopback address; port 0: any free one; off: none",
			bind: func(s *Settings) any { return &s.Node.HTTP.MetricsAddr }},
		{Path: "metrics.seedNames", Flag: "seed-names", Default: "false",
			Doc:  "also publish the metrics under their trinity_* names",
			bind: func(s *Settings) any { return &s.Node.HTTP.SeedNames }},
	}
}

func computeKeys() []Key {
	return []Key{
		{Path: "compute.maxCpu", Flag: "max-cpu", Arg: "PERCENT", Default: "100", Min: 1, Max: 100,
			Doc:  "percent of the machine's CPU given to tasks",
			bind: func(s *Settings) any { return &s.Node.Compute.MaxCPU }},
		{Path: "compute.maxMemoryMB", Flag: "max-memory-mb", Arg: "MIB", Default: "0", Max: maxMemoryMB,
			Doc:  "memory given to tasks in MiB; 0: what the machine has",
			bind: func(s *Settings) any { return &s.Node.Compute.MaxMemoryMB }},
		{Path: "compute.slots", Flag: "slots", Arg: "N", Default: "0", Max: 4096,
			Doc:  "tasks computed at once; 0: the number of cores",
			bind: func(s *Settings) any { return &s.Node.Compute.Slots }},
		{Path: "compute.price", Flag: "price", Arg: "UNITS", Default: "0", Max: int64(core.MaxAmount),
			Doc:  "base units asked for a million elementary operations; tasks with a lower maxPrice go to others",
			bind: func(s *Settings) any { return &s.Node.Compute.Price }},
		{Path: "compute.hours", Flag: "hours", Arg: "WHEN",
			Doc:  "when the node takes work, in local time, for example '22:00-06:00' or 'mon-fri 19:00-07:00, sat 00:00-24:00'; empty: always",
			bind: func(s *Settings) any { return &s.Node.Compute.Hours }},
		{Path: "compute.pauseOnBattery", Flag: "pause-on-battery", Default: "false",
			Doc:  "take no work while the machine runs on battery",
			bind: func(s *Settings) any { return &s.Node.Compute.PauseOnBattery }},
		{Path: "compute.maxCelsius", Flag: "max-celsius", Arg: "DEGREES", Default: "0", Max: 150,
			Doc:  "take no work while the hottest sensor shows more; 0: whatever it shows",
			bind: func(s *Settings) any { return &s.Node.Compute.MaxCelsius }},
		{Path: "compute.warm", Flag: "warm", Arg: "N", Default: "1", Max: 256,
			Doc:  "sandbox children kept ready for programs on a node that computes, some 4 MiB each; 0: none, each is started when it is needed",
			bind: func(s *Settings) any { return &s.Node.Compute.Warm }},
		{Path: "compute.cacheMB", Flag: "cache-mb", Arg: "MIB", Default: "1024", Min: 1, Max: maxMemoryMB,
			Doc:  "compiled programs kept on disk in MiB; what was not used for longest goes first",
			bind: func(s *Settings) any { return &s.Node.Compute.CacheMB }},
	}
}

func containerKeys() []Key {
	return []Key{
		{Path: "compute.containers", Flag: "containers", Default: "false",
			Doc:  "run tasks in containers of the Docker Engine beside the node; read docs/containers.md first: the kernel is shared with them",
			bind: func(s *Settings) any { return &s.Node.Compute.Containers.On }},
		{Path: "compute.containerImages", Flag: "container-image", Arg: "IMAGE",
			Doc:  "the only images that are run, one or several: name@sha256:<digest>, or sha256:<id> of an image built here",
			bind: func(s *Settings) any { return &s.Images }},
		{Path: "compute.containerSocket", Flag: "container-socket", Arg: "PATH", Default: container.DefaultSocket,
			Doc:  "unix socket of the Docker Engine",
			bind: func(s *Settings) any { return &s.Node.Compute.Containers.Socket }},
		{Path: "compute.containerPull", Flag: "container-pull", Default: "false",
			Doc:  "have the engine pull allowed images that it does not have, by digest",
			bind: func(s *Settings) any { return &s.Node.Compute.Containers.Pull }},
	}
}

func jobKeys() []Key {
	return []Key{
		{Path: "jobs.leaseTtl", Flag: "lease-ttl", Arg: "TIME", Default: "15s", Min: int64(time.Second), Max: int64(time.Hour),
			Doc:  "how long a worker keeps a task without renewing its lease",
			bind: func(s *Settings) any { return &s.Node.Jobs.LeaseTTL }},
		{Path: "jobs.queueTimeout", Flag: "queue-timeout", Arg: "TIME", Default: "30s", Min: int64(time.Millisecond), Max: int64(24 * time.Hour),
			Doc:  "how long a task waits for a capable worker when it does not say so itself",
			bind: func(s *Settings) any { return &s.Node.Jobs.QueueTimeout }},
		{Path: "jobs.maxQueued", Flag: "max-queued", Arg: "N", Default: "10000", Min: 1, Max: 10_000_000,
			Doc:  "jobs a region holds at once before it refuses more",
			bind: func(s *Settings) any { return &s.Node.Jobs.MaxQueued }},
		{Path: "jobs.speculation", Flag: "speculation", Arg: "PERCENT", Default: "10", Min: -1, Max: 50,
			Doc:  "percent of the running subtasks that may be run a second time because they are slower than others of their kind, always one; -1: none",
			bind: func(s *Settings) any { return &s.Node.Jobs.Speculation }},
		{Path: "jobs.journal", Flag: "journal", Arg: "WHERE", Default: "disk", OneOf: []string{"disk", "memory"},
			Doc:  "where the jobs of the node's region are recorded: disk survives everything, memory nothing",
			bind: func(s *Settings) any { return &s.Node.Jobs.Journal }},
		{Path: "jobs.keepFinished", Flag: "keep-finished", Arg: "N", Default: "200000", Min: 1, Max: 1_000_000_000,
			Doc:  "finished jobs remembered on disk",
			bind: func(s *Settings) any { return &s.Node.Jobs.KeepFinished }},
		{Path: "jobs.keepFor", Flag: "keep-for", Arg: "TIME", Default: "720h", Min: int64(time.Minute), Max: int64(100 * 365 * 24 * time.Hour),
			Doc:  "how long finished jobs are remembered on disk",
			bind: func(s *Settings) any { return &s.Node.Jobs.KeepFor }},
		{Path: "jobs.admit", Flag: "region-admit", Arg: "HOW", Default: "listed", OneOf: []string{"listed", "open"},
			Doc:  "which nodes may keep the region with this one: listed ones and those an operator adds, or open: all that ask",
			bind: func(s *Settings) any { return &s.Admit }},
		{Path: "jobs.members", Flag: "region-member", Arg: "NODE",
			Doc:  "node ids that may keep the region with this one, one or several",
			bind: func(s *Settings) any { return &s.Members }},
	}
}

func storageKeys() []Key {
	return []Key{
		{Path: "storage.objectsMB", Flag: "objects-mb", Arg: "MIB", Default: "1024", Min: 1, Max: maxMemoryMB,
			Doc:  "objects kept on disk in MiB; more is refused with 507",
			bind: func(s *Settings) any { return &s.Node.Storage.ObjectsMB }},
		{Path: "storage.objectsFor", Flag: "objects-for", Arg: "TIME", Default: "720h", Min: int64(time.Minute), Max: int64(100 * 365 * 24 * time.Hour),
			Doc:  "how long an object is kept after its last use",
			bind: func(s *Settings) any { return &s.Node.Storage.ObjectsFor }},
	}
}

func logKeys() []Key {
	return []Key{
		{Path: "log.level", Flag: "log-level", Arg: "LEVEL", Default: "info", Alias: "LOG_LEVEL",
			OneOf: []string{"error", "warn", "info", "debug", "trace"},
			Doc:   "what is logged: error, warn, info, debug or trace",
			bind:  func(s *Settings) any { return &s.Node.Log.Level }},
		{Path: "log.format", Flag: "log-format", Arg: "HOW", Default: "auto", OneOf: []string{"auto", "console", "json"},
			Doc:  "log lines on stderr: console, json, or auto (console on a terminal); the file in logs/ is always JSON",
			bind: func(s *Settings) any { return &s.Node.Log.Format }},
	}
}

func traceKeys() []Key {
	return []Key{
		{Path: "trace.endpoint", Flag: "trace-endpoint", Arg: "URL", Alias: "OTEL_EXPORTER_OTLP_ENDPOINT",
			Doc:  "OpenTelemetry collector that traces go to, OTLP over HTTP, for example http://127.0.0.1:4318; empty: none",
			bind: func(s *Settings) any { return &s.Node.Trace.Endpoint }},
	}
}
