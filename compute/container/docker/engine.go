package docker

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/tenzro/tenzro/core"
)

// oldestAPI is the first version of the API, 1.41 of Engine 20.10, that knows every
// field of Spec: 1.x, of which x is kept.
const oldestAPI = 41

// Version is what an engine says of itself to everybody.
type Version struct {
	Version       string `json:"Version"`
	APIVersion    string `json:"ApiVersion"`
	MinAPIVersion string `json:"MinAPIVersion"`
	Arch          string `json:"Arch"`
}

// agreed returns the oldest version of the API that the engine and this client know:
// what a field means changes least there.
func (v Version) agreed() (string, error) {
	newest, ok := minor(v.APIVersion)
	if !ok {
		return "", corrupt("/version", "%s as the version of its API", strconv.Quote(printable(v.APIVersion)))
	}
	if newest < oldestAPI {
		return "", core.Errorf(core.Unsupported, "engine/version", "the container engine %s speaks API 1.%d; 1.%d is needed", printable(v.Version), newest, oldestAPI).
			WithHint("install Docker Engine 20.10 or later")
	}
	oldest, _ := minor(v.MinAPIVersion) // none is 0: everything before
	return "1." + strconv.Itoa(max(oldest, oldestAPI)), nil
}

// minor returns x of "1.x".
func minor(version string) (int, bool) {
	text, ok := strings.CutPrefix(version, "1.")
	n, err := strconv.Atoi(text)
	return n, ok && err == nil && n >= 0 && n < 1000
}

// Info is what an engine says of its machine and of what it can keep.
type Info struct {
	OSType          string   `json:"OSType"`
	CPUs            int      `json:"NCPU"`
	Memory          int64    `json:"MemTotal"` // bytes
	MemoryLimit     bool     `json:"MemoryLimit"`
	SwapLimit       bool     `json:"SwapLimit"`
	PidsLimit       bool     `json:"PidsLimit"`
	CPUQuota        bool     `json:"CpuCfsQuota"`
	SecurityOptions []string `json:"SecurityOptions"` // "name=seccomp,profile=default"
}

// Option returns a security option by its name, and what else is said of it, and
// whether the engine has it.
func (i Info) Option(name string) (rest string, ok bool) {
	for _, option := range i.SecurityOptions {
		first, rest, _ := strings.Cut(option, ",")
		if first == "name="+name {
			return rest, true
		}
	}
	return "", false
}

// Info asks the engine about itself.
func (c *Client) Info(ctx context.Context) (Info, error) {
	var i Info
	err := c.call(ctx, http.MethodGet, "/info", nil, nil, &i)
	return i, err
}
