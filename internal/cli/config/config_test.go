package config

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
)

var update = flag.Bool("update", false, "rewrite the generated documents")

// places is one home with a file, one working directory with a .env file.
type places struct {
	file, dotEnv string
	environ      []string
	flags        map[string][]string
}

func (p places) source(t *testing.T) Source {
	t.Helper()
	home, dir := t.TempDir(), t.TempDir()
	write(t, filepath.Join(home, FileName), p.file)
	write(t, filepath.Join(dir, ".env"), p.dotEnv)
	env, err := ReadEnvironment(append(p.environ, "HOME=/home/ann"), dir)
	if err != nil {
		t.Fatal(err)
	}
	flags := map[string][]string{"home": {home}}
	for name, values := range p.flags {
		flags[name] = values
	}
	return Source{Flags: flags, Env: env, UserHome: "/home/ann"}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if text == "" {
		return
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (l *Loaded) value(path string) Value {
	for _, v := range l.Values {
		if v.Key.Path == path {
			return v
		}
	}
	return Value{}
}

// TestPrecedence sets one key in every combination of places: the strongest of
// those that set it wins, whatever the others say.
//
// spec 0.31 0.32 0.33
func TestPrecedence(t *testing.T) {
	const key, variable = "p2p.port", "TENZRO_P2P_PORT"
	for mask := range 16 {
		t.Run(fmt.Sprintf("%04b", mask), func(t *testing.T) {
			p, want, origin := places{}, int64(9334), "default"
			if mask&1 != 0 {
				p.file, want, origin = "p2p:\n  port: 1001\n", 1001, "file "
			}
			if mask&2 != 0 {
				p.dotEnv, want, origin = variable+"=1002\n", 1002, ".env "+variable
			}
			if mask&4 != 0 {
				p.environ, want, origin = []string{variable + "=1003"}, 1003, "environment "+variable
			}
			if mask&8 != 0 {
				p.flags, want, origin = map[string][]string{"p2p-port": {"1004"}}, 1004, "flag --p2p-port"
			}
			got, err := Load(p.source(t))
			if err != nil {
				t.Fatal(err)
			}
			if v := got.value(key); v.Value != want || !strings.HasPrefix(v.Origin, origin) {
				t.Errorf("%s = %v from %s, want %v from %s", key, v.Value, v.Origin, want, origin)
			}
			if got.Config.P2P.Port != int(want) {
				t.Errorf("Config.P2P.Port = %d, want %d", got.Config.P2P.Port, want)
			}
		})
	}
}

// TestLogLevelNames: LOG_LEVEL is accepted, TENZRO_LOG_LEVEL wins over it in the
// same place, and the process's environment wins over .env.
//
// spec 0.76
func TestLogLevelNames(t *testing.T) {
	tests := map[string]struct {
		environ []string
		dotEnv  string
		want    string
	}{
		"plain name":                    {[]string{"LOG_LEVEL=debug"}, "", "debug"},
		"any case":                      {[]string{"LOG_LEVEL=DEBUG"}, "", "debug"},
		"own name wins":                 {[]string{"LOG_LEVEL=debug", "TENZRO_LOG_LEVEL=trace"}, "", "trace"},
		"plain name in .env":            {nil, "LOG_LEVEL=warn\n", "warn"},
		"environment wins over .env":    {[]string{"LOG_LEVEL=error"}, "TENZRO_LOG_LEVEL=warn\n", "error"},
		"set to nothing counts as none": {[]string{"LOG_LEVEL="}, "", "info"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Load(places{environ: tt.environ, dotEnv: tt.dotEnv}.source(t))
			if err != nil {
				t.Fatal(err)
			}
			if got.Config.Log.Level != tt.want {
				t.Errorf("level %q, want %q", got.Config.Log.Level, tt.want)
			}
		})
	}
}

// TestEveryKeyReachesTheNode sets each documented key to something that is not
// its default and looks for it in the node's configuration.
//
// spec 0.34 0.35 0.36 0.37 1.70 1.71 1.72
func TestEveryKeyReachesTheNode(t *testing.T) {
	const boot = "/ip4/192.0.2.7/tcp/9334/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
	file := `
network: campus
region: us-east
roles: [local]
tier: aggregator
mode: p2p-primary
p2p: {port: 1, wsPort: -1, lanPort: 3, listen: [127.0.0.1], bootstrap: ["` + boot + `"], mdns: true, minPeers: 7, standalone: true, reachability: private}
api: {addr: 7070, auth: token, insecure: true, allowedHosts: [a.example, b.example], rateLimit: 9, maxOpenTasks: 8, maxOpenMB: 7}
metrics: {addr: "off", seedNames: true}
compute: {maxCpu: 50, maxMemoryMB: 2048, slots: 3, price: 250, hours: "22:00-06:00", pauseOnBattery: true, maxCelsius: 80, warm: 2, cacheMB: 512,
  containers: true, containerImages: [sha256:5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f, tools/x@sha256:6060606060606060606060606060606060606060606060606060606060606060], containerSocket: /run/engine.sock, containerPull: true}
jobs: {leaseTtl: 20s, queueTimeout: 1m, maxQueued: 5, speculation: -1, journal: memory, keepFinished: 6, keepFor: 7h, admit: open, members: [12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN]}
storage: {objectsMB: 64, objectsFor: 48h}
log: {level: trace, format: json}
trace: {endpoint: "https://otel.example:4318/"}
`
	got, err := Load(places{file: file}.source(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range got.Values {
		if v.Origin == "default" {
			t.Errorf("%s was not set by the file", v.Key.Path)
		}
	}
	c := got.Config
	checks := map[string][2]any{
		"network":   {c.Network, core.NetworkID("campus")},
		"region":    {c.Region, core.RegionID("us-east")},
		"roles":     {fmt.Sprint(c.Roles.Names()), "[local aggregator]"},
		"tier":      {c.Roles.Tier(), core.TierAggregator},
		"mode":      {c.Mode, core.ModeP2PPrimary},
		"ports":     {[3]int{c.P2P.Port, c.P2P.WSPort, c.P2P.LANPort}, [3]int{1, -1, 3}},
		"listen":    {fmt.Sprint(c.P2P.ListenIPs), "[127.0.0.1]"},
		"bootstrap": {fmt.Sprint(c.P2P.Bootstrap), "[" + boot + "]"},
		"discovery": {[2]bool{c.P2P.MDNS, c.P2P.Standalone}, [2]bool{true, true}},
		"peers":     {c.P2P.MinPeers, 7},
		"reach":     {c.P2P.Reachability, "private"},
		"api":       {c.HTTP.Addr + " " + c.HTTP.Auth + " " + fmt.Sprint(c.HTTP.Insecure, c.HTTP.AllowedHosts), "127.0.0.1:7070 token true [a.example b.example]"},
		"quotas":    {[3]int{c.HTTP.RateLimit, c.HTTP.MaxOpenTasks, c.HTTP.MaxOpenMB}, [3]int{9, 8, 7}},
		"metrics":   {fmt.Sprint(c.HTTP.MetricsAddr, c.HTTP.SeedNames), "true"},
		"compute":   {fmt.Sprint(c.Compute), "{50 2048 3 250 22:00-06:00 true 80 2 512 {true /run/engine.sock [sha256:5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f tools/x@sha256:6060606060606060606060606060606060606060606060606060606060606060] true}}"},
		"jobs":      {fmt.Sprint(c.Jobs.LeaseTTL, c.Jobs.QueueTimeout, c.Jobs.MaxQueued, c.Jobs.Speculation), "20s 1m0s 5 -1"},
		"journal":   {fmt.Sprint(c.Jobs.Journal, c.Jobs.KeepFinished, c.Jobs.KeepFor, c.Jobs.AdmitAny, c.Jobs.Members), "memory6 7h0m0s true [12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN]"},
		"trace":     {c.Trace.Endpoint, "https://otel.example:4318/v1/traces"},
		"log":       {fmt.Sprint(c.Log), "{trace json}"},
	}
	for name, pair := range checks {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %v, want %v", name, pair[0], pair[1])
		}
	}
}

// TestDefaults are the ports and times the documents give; how many peers are
// enough is left to the node.
//
// spec 4.66 4.67 4.68 4.69
func TestDefaults(t *testing.T) {
	got, err := Load(places{}.source(t))
	if err != nil {
		t.Fatal(err)
	}
	c := got.Config
	if c.HTTP.Addr != "127.0.0.1:8080" || c.HTTP.MetricsAddr != "127.0.0.1:9090" || c.P2P.LANPort != 9333 || c.P2P.Port != 9334 {
		t.Errorf("ports: %+v %+v", c.HTTP, c.P2P)
	}
	if c.P2P.MinPeers != 0 || c.Roles != nil || c.Jobs.QueueTimeout != core.DefaultQueueTimeout || c.Jobs.LeaseTTL != 15*time.Second {
		t.Errorf("numbers: %+v %+v %v", c.P2P, c.Jobs, c.Roles)
	}
}

// TestRefusals: whatever is wrong is named with its place and, where one is
// near, a suggestion.
func TestRefusals(t *testing.T) {
	flags := func(name string, values ...string) map[string][]string {
		return map[string][]string{name: values}
	}
	tests := map[string]struct {
		places places
		op     string
		want   []string
	}{
		"unknown key":           {places{file: "p2p: {prot: 1}"}, "p2p.prot", []string{`key "p2p.prot" is unknown; did you mean p2p.port?`, FileName}},
		"key without section":   {places{file: "port: 1"}, "port", []string{"did you mean p2p.port?"}},
		"section misspelt":      {places{file: "htt:\n  addr: 1"}, "htt.addr", []string{`key "htt.addr" is unknown; did you mean api.addr?`}},
		"section, no key":       {places{file: "p2p: {colour: red}"}, "p2p.colour", []string{"the keys of p2p are port, wsPort,"}},
		"section nearly":        {places{file: "job: {leasettl: 15s}"}, "job.leasettl", []string{"did you mean jobs.leaseTtl?"}},
		"section without value": {places{file: "computer: x"}, "computer", []string{"did you mean the section compute?"}},
		"section as key":        {places{file: "htp: x"}, "htp", []string{`key "htp" is unknown; did you mean api.addr?`}},
		"name of a flag":        {places{file: "lease-tll: 15s"}, "lease-tll", []string{"did you mean jobs.leaseTtl?"}},
		"section of nothing":    {places{file: "colours: {sky: blue}"}, "colours.sky", []string{`key "colours.sky" is unknown; the sections are`}},
		"nothing near":          {places{file: "colour: red"}, "colour", []string{`key "colour" is unknown; the sections are`}},
		"section as value":      {places{file: "p2p: 9334"}, "p2p", []string{"is a section"}},
		"home in the file":      {places{file: "home: /x"}, "home", []string{"cannot be set in a file"}},
		"list for one value":    {places{file: "network: [a, b]"}, "network", []string{"a single value is needed", "file "}},
		"duplicate key":         {places{file: "region: a\nregion: b\n"}, "", []string{"already defined"}},
		"not YAML":              {places{file: "{"}, "", []string{"reading "}},
		"file too large":        {places{file: strings.Repeat("# 89abcdef\n", 100_000)}, "", []string{"larger than 1 MiB"}},
		"unknown variable":      {places{environ: []string{"TENZRO_ROLES=local"}}, "TENZRO_ROLES", []string{"did you mean TENZRO_ROLE?"}},
		"unknown name in .env":  {places{dotEnv: "TENZRO_REGOIN=x"}, "TENZRO_REGOIN", []string{".env variable TENZRO_REGOIN", "TENZRO_REGION?"}},
		"port no number":        {places{environ: []string{"TENZRO_P2P_PORT=http"}}, "p2p.port", []string{`"http" is not a whole number`, "environment TENZRO_P2P_PORT"}},
		"port too large":        {places{flags: flags("p2p-port", "65536")}, "--p2p-port", []string{"65536 is not in 0 to 65535", "flag --p2p-port"}},
		"negative port":         {places{file: "p2p: {port: -1}"}, "p2p.port", []string{"-1 is not in 0 to 65535"}},
		"fraction":              {places{file: "compute: {slots: 1.5}"}, "compute.slots", []string{`"1.5" is not a whole number`}},
		"share of nothing":      {places{file: "compute: {maxCpu: 0}"}, "compute.maxCpu", []string{"0 is not in 1 to 100"}},
		"no switch":             {places{environ: []string{"TENZRO_MDNS=maybe"}}, "p2p.mdns", []string{"neither true nor false"}},
		"no time":               {places{file: "jobs: {leaseTtl: 15}"}, "jobs.leaseTtl", []string{"is not a time such as"}},
		"time too short":        {places{file: "jobs: {leaseTtl: 1ms}"}, "jobs.leaseTtl", []string{"1ms is not in 1s to 1h0m0s"}},
		"unknown level":         {places{environ: []string{"LOG_LEVEL=loud"}}, "log.level", []string{`"loud" is none of error, warn`, "environment LOG_LEVEL"}},
		"unknown role":          {places{flags: flags("role", "worker")}, "--role", []string{`role "worker" is unknown`}},
		"unknown tier":          {places{file: "tier: gold"}, "tier", []string{`"gold" is none of inference, aggregator`}},
		"bad region":            {places{file: "region: US"}, "region", []string{`region "US" must be`}},
		"bad network":           {places{file: "network: a/b"}, "network", []string{"network"}},
		"bad api address":       {places{flags: flags("http", "localhost")}, "--http", []string{"neither host:port nor a port"}},
		"bad api port":          {places{flags: flags("http", "127.0.0.1:99999")}, "--http", []string{`port "99999" is not in 0 to 65535`}},
		"bad metrics address":   {places{file: "metrics: {addr: here}"}, "metrics.addr", []string{"neither host:port nor a port"}},
		"member is no node":     {places{file: "jobs: {members: ann}"}, "jobs.members", []string{`"ann" is not the id of a node`}},
		"collector is no URL":   {places{environ: []string{"OTEL_EXPORTER_OTLP_ENDPOINT=localhost:4318"}}, "trace.endpoint", []string{`"localhost:4318" is not the URL`, "environment OTEL_EXPORTER_OTLP_ENDPOINT"}},
		"collector's password":  {places{flags: flags("trace-endpoint", "http://ann:pw@otel.example")}, "--trace-endpoint", []string{"must not carry a password"}},
		"listen on a name":      {places{file: "p2p: {listen: eth0}"}, "p2p.listen", []string{`"eth0" is not an IP address`}},
		"bootstrap no address":  {places{flags: flags("bootstrap", "node.example:9334")}, "--bootstrap", []string{"is not a multiaddr"}},
		"bootstrap without id":  {places{flags: flags("bootstrap", "/ip4/192.0.2.1/tcp/1")}, "--bootstrap", []string{"does not end in /p2p/"}},
		"one port for two":      {places{file: "p2p: {port: 5, wsPort: 5}"}, "p2p.wsPort", []string{"port 5 is p2p.port already"}},
		"named file is missing": {places{flags: flags(FlagConfig, "/does/not/exist.yaml")}, "--config", []string{"/does/not/exist.yaml cannot be read"}},
		"too many values":       {places{environ: []string{"TENZRO_ALLOW_HOST=" + strings.Repeat("a,", 300)}}, "api.allowedHosts", []string{"at most 256"}},
		"terminal escapes":      {places{file: `network: "\e[31m"`}, "network", []string{`\x1b`}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Load(tt.places.source(t))
			var known *core.Error
			if !errors.As(err, &known) {
				t.Fatalf("error %v, want a core.Error", err)
			}
			if known.Kind != core.Invalid || known.Hint == "" || tt.op != "" && known.Op != tt.op {
				t.Errorf("kind %v, hint %q, op %q; want invalid, some hint, %q", known.Kind, known.Hint, known.Op, tt.op)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not contain %q", err, want)
				}
			}
		})
	}
}

// TestAllProblemsAtOnce: one run tells everything that is wrong.
func TestAllProblemsAtOnce(t *testing.T) {
	_, err := Load(places{file: "p2p: {port: x, prot: 1}\nregion: US\n", environ: []string{"TENZRO_BOGUS=1"}}.source(t))
	for _, want := range []string{"p2p.port", "p2p.prot", "region", "TENZRO_BOGUS"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not mention %s", err, want)
		}
	}
}

func TestListsFromEveryPlace(t *testing.T) {
	want := []string{"a.example", "b.example"}
	for name, p := range map[string]places{
		"YAML list":            {file: "api: {allowedHosts: [a.example, b.example]}"},
		"YAML text":            {file: `api: {allowedHosts: "a.example, b.example"}`},
		"variable":             {environ: []string{"TENZRO_ALLOW_HOST=a.example,b.example"}},
		"repeated flag":        {flags: map[string][]string{"allow-host": {"a.example", "b.example"}}},
		"flag with commas":     {flags: map[string][]string{"allow-host": {"a.example,,b.example,"}}},
		"flag replaces, whole": {file: "api: {allowedHosts: [c.example]}", flags: map[string][]string{"allow-host": want}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Load(p.source(t))
			if err != nil || !reflect.DeepEqual(got.Config.HTTP.AllowedHosts, want) {
				t.Errorf("hosts %v, error %v", got, err)
			}
		})
	}
}

// TestRoles: "auto" leaves the choice to the hardware, a tier is the worker role
// that declares it.
func TestRoles(t *testing.T) {
	tests := map[string]struct{ roles, tier, want string }{
		"auto":               {"auto", "", "[]"},
		"auto with a tier":   {"auto", "training", "[trainer]"},
		"several":            {"local,global", "", "[global local]"},
		"tier beside a role": {"regional", "inference", "[regional inference]"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Load(places{environ: []string{"TENZRO_ROLE=" + tt.roles, "TENZRO_TIER=" + tt.tier}}.source(t))
			if err != nil || fmt.Sprint(got.Config.Roles.Names()) != tt.want {
				t.Errorf("roles %v, error %v, want %s", got, err, tt.want)
			}
		})
	}
}

func TestHome(t *testing.T) {
	env := func(s ...string) Environment {
		e, err := ReadEnvironment(s, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	tests := map[string]struct {
		src  Source
		want string
	}{
		"default":          {Source{Env: env(), UserHome: "/home/ann"}, "/home/ann/.tenzro"},
		"variable":         {Source{Env: env("TENZRO_HOME=~/n1"), UserHome: "/home/ann"}, "/home/ann/n1"},
		"flag":             {Source{Env: env("TENZRO_HOME=/a"), Flags: map[string][]string{"home": {"/b"}}}, "/b"},
		"no user home":     {Source{Env: env()}, ""},
		"named, no ~":      {Source{Env: env("TENZRO_HOME=/a/")}, "/a"},
		"empty is refused": {Source{Env: env(), Flags: map[string][]string{"home": {""}}}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Home(tt.src)
			if got != tt.want || (tt.want == "") != (err != nil) {
				t.Errorf("home %q, error %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestDotEnvRefusals(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, ".env"), "this is no assignment\n")
	if _, err := ReadEnvironment(nil, dir); !errors.Is(err, core.Invalid) || !strings.Contains(err.Error(), ".env") {
		t.Errorf("error %v, want one that names .env", err)
	}
	dir = t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".env"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadEnvironment(nil, dir); !errors.Is(err, core.Invalid) {
		t.Errorf("a directory called .env: error %v", err)
	}
}

// TestTemplateIsValid: the file that `init` writes loads as it is and, once its
// keys are uncommented, gives every default again.
//
// spec 0.32
func TestTemplateIsValid(t *testing.T) {
	plain, err := Load(places{file: Template()}.source(t))
	if err != nil {
		t.Fatal(err)
	}
	active := strings.NewReplacer("\n#network", "\nnetwork", "\n#region", "\nregion", "\n#roles", "\nroles", "\n#mode", "\nmode", "\n#tier", "\ntier").Replace(Template())
	for _, k := range Keys() {
		_, name, _ := strings.Cut(k.Path, ".")
		active = strings.ReplaceAll(active, "  #"+name+":", "  "+name+":")
	}
	full, err := Load(places{file: active}.source(t))
	if err != nil {
		t.Fatalf("%v in\n%s", err, active)
	}
	for i, v := range full.Values {
		if v.Key.Path != "home" && (v.Origin == "default" || !reflect.DeepEqual(v.Value, plain.Values[i].Value)) {
			t.Errorf("%s = %v from %s, default %v", v.Key.Path, v.Value, v.Origin, plain.Values[i].Value)
		}
	}
}

// TestDocumentsMatchTheTable: .env.example and the reference are made from the
// table; run with -update after changing it.
//
// spec 0.39
func TestDocumentsMatchTheTable(t *testing.T) {
	const root = "../../../"
	if *update {
		write(t, root+".env.example", EnvExample())
	}
	example, err := os.ReadFile(root + ".env.example")
	if err != nil || string(example) != EnvExample() {
		t.Errorf(".env.example is not what the table gives (error %v); run: go test ./internal/cli/config -update", err)
	}
	doc, err := os.ReadFile(root + "docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(doc), "<!-- keys -->\n")
	table, after, ok := strings.Cut(rest, "<!-- /keys -->")
	if !ok {
		t.Fatal("docs/configuration.md has no <!-- keys --> section")
	}
	if *update {
		write(t, root+"docs/configuration.md", before+"<!-- keys -->\n"+Reference()+"<!-- /keys -->"+after)
	} else if table != Reference() {
		t.Error("docs/configuration.md is not what the table gives; run: go test ./internal/cli/config -update")
	}
}

// TestEnvExampleIsCopyable: with every line active it is a valid environment.
//
// spec 0.39
func TestEnvExampleIsCopyable(t *testing.T) {
	active := strings.ReplaceAll(EnvExample(), "\n#TENZRO", "\nTENZRO")
	active = strings.ReplaceAll(active, "\n#LOG", "\nLOG")
	src := places{dotEnv: active}.source(t)
	if _, err := Load(src); err != nil {
		t.Fatal(err)
	}
	if _, _, ok := src.Env.Get("TENZRO_P2P_PORT"); !ok {
		t.Error("the example sets nothing")
	}
}

func TestTableIsSound(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Keys() {
		for _, name := range []string{k.Path, "--" + k.Flag, k.Env()} {
			if seen[name] {
				t.Errorf("%s is used twice", name)
			}
			seen[name] = true
		}
		if _, err := k.parse(k.Default); err != nil && k.Path != "home" {
			t.Errorf("%s: default %q: %v", k.Path, k.Default, err)
		}
		if k.Doc == "" || k.IsSwitch() != (k.Arg == "") {
			t.Errorf("%s: doc %q, placeholder %q", k.Path, k.Doc, k.Arg)
		}
	}
}

func FuzzFile(f *testing.F) {
	f.Add("p2p: {port: 1}\n")
	f.Add(Template())
	f.Add("a: &a [*a]")
	f.Add("? [1]\n: 2\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := merge(Source{}, "/home/ann/.tenzro", "/home/ann/.tenzro/"+FileName, []byte(text), nil)
		if (got == nil) == (err == nil) {
			t.Errorf("result %v and error %v", got, err)
		}
		if err != nil && !errors.Is(err, core.Invalid) {
			t.Errorf("error %v is not core.Invalid", err)
		}
	})
}
