package dockertest

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/tenzro/tenzro/compute/container/docker"
)

// allowed are the fields that a container may be made with; anything else is refused, so
// that a new one is looked at here.
func allowed() (outer, host []string) {
	return []string{"Image", "Entrypoint", "Cmd", "Env", "User", "Labels", "AttachStdin", "AttachStdout", "AttachStderr", "OpenStdin", "StdinOnce",
			"Healthcheck", "HostConfig"},
		[]string{"NetworkMode", "IpcMode", "PidMode", "UTSMode", "UsernsMode", "CgroupnsMode", "ReadonlyRootfs", "Privileged", "AutoRemove", "CapDrop",
			"SecurityOpt", "Memory", "MemorySwap", "NanoCpus", "CpuShares", "PidsLimit", "OomScoreAdj", "Ulimits", "LogConfig", "Mounts"}
}

// lacking returns what a request to make a container lacks of the protections there have
// to be. It reads the text itself, so that a misspelt field is missed here as it would be
// by an engine.
func lacking(body []byte, image docker.Image) (lacks []string) {
	var outer, host map[string]any
	_ = json.Unmarshal(body, &outer)
	host, _ = outer["HostConfig"].(map[string]any)
	mayOuter, mayHost := allowed()
	for name := range outer {
		if !slices.Contains(mayOuter, name) {
			lacks = append(lacks, "unexpected "+name)
		}
	}
	for name := range host {
		if !slices.Contains(mayHost, name) {
			lacks = append(lacks, "unexpected HostConfig."+name)
		}
	}
	is := func(of map[string]any, name string, want any) {
		if got := fmt.Sprint(of[name]); got != fmt.Sprint(want) {
			lacks = append(lacks, fmt.Sprintf("%s is %s, not %v", name, got, want))
		}
	}
	positive := func(name string) {
		if n, _ := host[name].(float64); n <= 0 {
			lacks = append(lacks, name+" has no bound")
		}
	}
	is(outer, "User", "65534:65534")
	is(outer, "Healthcheck", map[string]any{"Test": []any{"NONE"}})
	for name, want := range map[string]any{"NetworkMode": "none", "IpcMode": "none", "PidMode": "", "UTSMode": "", "UsernsMode": "", "CgroupnsMode": "private",
		"ReadonlyRootfs": true, "Privileged": false, "AutoRemove": false, "CapDrop": []any{"ALL"}, "SecurityOpt": []any{"no-new-privileges:true"},
		"LogConfig": map[string]any{"Type": "none"}, "MemorySwap": host["Memory"]} {
		is(host, name, want)
	}
	for _, name := range []string{"Memory", "NanoCpus", "CpuShares", "PidsLimit", "OomScoreAdj"} {
		positive(name)
	}
	if labels, _ := outer["Labels"].(map[string]any); labels["tenzro.node"] == nil || labels["tenzro.node"] == "" {
		lacks = append(lacks, "no label that says whose it is")
	}
	if id := fmt.Sprint(outer["Image"]); id != image.ID {
		lacks = append(lacks, "the image is not named by its id")
	}
	return append(lacks, openLimits(host, image)...)
}

// openLimits looks at the lists: ulimits and mounts.
func openLimits(host map[string]any, image docker.Image) (lacks []string) {
	limits := fmt.Sprint(host["Ulimits"])
	for _, want := range []string{"Name:nofile", "Hard:0 Name:core Soft:0", "Name:cpu"} {
		if !strings.Contains(limits, want) {
			lacks = append(lacks, "no ulimit "+want)
		}
	}
	covered := map[string]bool{}
	mounts, _ := host["Mounts"].([]any)
	for _, one := range mounts {
		m, _ := one.(map[string]any)
		target := fmt.Sprint(m["Target"])
		if covered[target] {
			lacks = append(lacks, "two mounts at "+target)
		}
		covered[target] = true
		options, _ := m["TmpfsOptions"].(map[string]any)
		size, _ := options["SizeBytes"].(float64)
		switch {
		case m["Type"] == "tmpfs" && size > 0:
		case m["Type"] == "volume" && target == "/work" && strings.HasPrefix(fmt.Sprint(m["Source"]), "tenzro-"):
		default:
			lacks = append(lacks, fmt.Sprintf("a mount of %v at %s without a bound", m["Type"], target))
		}
	}
	for dir := range image.Config.Volumes {
		if !covered[path.Clean(dir)] {
			lacks = append(lacks, "the image's volume "+dir+" is on the disk")
		}
	}
	return lacks
}
