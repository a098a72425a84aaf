package docker

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/tenzro/tenzro/core"
)

// Spec is a container before it exists. The names are the engine's; what is not here
// stays at the engine's default, which for what a container may do is "no".
type Spec struct {
	Image        string            `json:"Image"` // by id
	Entrypoint   []string          `json:"Entrypoint,omitempty"`
	Cmd          []string          `json:"Cmd,omitempty"`
	Env          []string          `json:"Env,omitempty"` // NAME=VALUE
	User         string            `json:"User"`
	Labels       map[string]string `json:"Labels"`
	AttachStdin  bool              `json:"AttachStdin"`
	AttachStdout bool              `json:"AttachStdout"`
	AttachStderr bool              `json:"AttachStderr"`
	OpenStdin    bool              `json:"OpenStdin"`
	StdinOnce    bool              `json:"StdinOnce"` // closed with the stream that was attached
	Healthcheck  *Healthcheck      `json:"Healthcheck,omitempty"`
	HostConfig   HostConfig        `json:"HostConfig"`
}

// Healthcheck is what an engine runs in a container from time to time; {"NONE"} is
// nothing, whatever the image says.
type Healthcheck struct {
	Test []string `json:"Test"`
}

// HostConfig is what a container may use of its machine.
type HostConfig struct {
	NetworkMode    string    `json:"NetworkMode"`
	IpcMode        string    `json:"IpcMode"`
	PidMode        string    `json:"PidMode"`
	UTSMode        string    `json:"UTSMode"`
	UsernsMode     string    `json:"UsernsMode"`
	CgroupnsMode   string    `json:"CgroupnsMode"`
	ReadonlyRootfs bool      `json:"ReadonlyRootfs"`
	Privileged     bool      `json:"Privileged"`
	AutoRemove     bool      `json:"AutoRemove"`
	CapDrop        []string  `json:"CapDrop"`
	SecurityOpt    []string  `json:"SecurityOpt"`
	Memory         int64     `json:"Memory"`     // bytes
	MemorySwap     int64     `json:"MemorySwap"` // memory and swap together
	NanoCPUs       int64     `json:"NanoCpus"`   // 1e9 is one core
	CPUShares      int64     `json:"CpuShares"`  // 1024 is what others have
	PidsLimit      int64     `json:"PidsLimit"`
	OomScoreAdj    int       `json:"OomScoreAdj"`
	Ulimits        []Ulimit  `json:"Ulimits"`
	LogConfig      LogConfig `json:"LogConfig"`
	Mounts         []Mount   `json:"Mounts"`
}

// Ulimit is a limit of every process of a container.
type Ulimit struct {
	Name string `json:"Name"`
	Soft int64  `json:"Soft"`
	Hard int64  `json:"Hard"`
}

// LogConfig says where the engine keeps what a container writes; "none" is nowhere.
type LogConfig struct {
	Type string `json:"Type"`
}

// Mount is something that stands in the file system of a container.
type Mount struct {
	Type          string         `json:"Type"` // MountTmpfs or MountVolume
	Source        string         `json:"Source,omitempty"`
	Target        string         `json:"Target"`
	ReadOnly      bool           `json:"ReadOnly"`
	TmpfsOptions  *TmpfsOptions  `json:"TmpfsOptions,omitempty"`
	VolumeOptions *VolumeOptions `json:"VolumeOptions,omitempty"`
}

// The types of mounts that are used here.
const (
	MountTmpfs  = "tmpfs" // in memory; the engine adds noexec, nosuid and nodev
	MountVolume = "volume"
)

// TmpfsOptions bounds a file system in memory.
type TmpfsOptions struct {
	SizeBytes int64 `json:"SizeBytes"`
	Mode      int   `json:"Mode"`
}

// VolumeOptions says how a volume is mounted.
type VolumeOptions struct {
	NoCopy bool `json:"NoCopy"` // of what the image has there
}

// Create makes a container and does not start it. A limit that the engine says it will
// not keep is an error, and the container is removed again.
func (c *Client) Create(ctx context.Context, name string, s Spec) (id string, err error) {
	var made struct {
		ID       string   `json:"Id"`
		Warnings []string `json:"Warnings"`
	}
	if err := c.call(ctx, http.MethodPost, "/containers/create", url.Values{"name": {name}}, s, &made); err != nil {
		return "", err
	}
	if !plain(made.ID) {
		return "", corrupt("/containers/create", "an id that is none")
	}
	if len(made.Warnings) > 0 {
		err := core.Errorf(core.Unsupported, "engine/containers/create", "the container engine warns: %s", printable(strings.Join(made.Warnings, "; ")))
		return "", errors.Join(err, c.Remove(context.WithoutCancel(ctx), made.ID))
	}
	return made.ID, nil
}

// plain reports whether id can stand in a path: an engine's ids are hexadecimal.
func plain(id string) bool {
	return id != "" && len(id) <= 64 && strings.Trim(id, "0123456789abcdef") == ""
}

// isName reports whether s can stand in a path: what an engine calls containers and
// volumes.
func isName(s string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
	return s != "" && s != "." && s != ".." && len(s) <= 255 && strings.Trim(s, allowed) == ""
}

// Start starts a container that was made.
func (c *Client) Start(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodPost, "/containers/"+id+"/start", nil, nil, nil)
}

// Wait blocks until a container that was started has ended, or ctx has.
func (c *Client) Wait(ctx context.Context, id string) error {
	_, err := c.send(ctx, http.MethodPost, "/containers/"+id+"/wait", url.Values{"condition": {"not-running"}}, "", nil)
	return err
}

// State is how a container is or ended.
type State struct {
	Running   bool   `json:"Running"`
	OOMKilled bool   `json:"OOMKilled"` // one of its processes was, by the kernel, for its memory
	ExitCode  int    `json:"ExitCode"`
	Error     string `json:"Error"` // why it could not be started
}

// State asks how a container is.
func (c *Client) State(ctx context.Context, id string) (State, error) {
	var said struct {
		State *State `json:"State"`
	}
	if err := c.call(ctx, http.MethodGet, "/containers/"+id+"/json", nil, nil, &said); err != nil {
		return State{}, err
	}
	if said.State == nil {
		return State{}, corrupt("/containers/json", "no state of a container")
	}
	said.State.Error = printable(said.State.Error)
	return *said.State, nil
}

// Remove kills a container, named by id or name, if it runs, and removes it with the
// volumes that were made for it. One that is not there is fine.
func (c *Client) Remove(ctx context.Context, id string) error {
	err := c.call(ctx, http.MethodDelete, "/containers/"+id, url.Values{"force": {"1"}, "v": {"1"}}, nil, nil)
	if errors.Is(err, core.NotFound) {
		return nil
	}
	return err
}

// Containers returns the names of all containers, running or not, with a label.
func (c *Client) Containers(ctx context.Context, label, value string) (names []string, err error) {
	var all []struct {
		ID    string   `json:"Id"`
		Names []string `json:"Names"`
	}
	err = c.call(ctx, http.MethodGet, "/containers/json", url.Values{"all": {"1"}, "filters": {labelled(label, value)}}, nil, &all)
	for _, one := range all {
		name := one.ID
		if len(one.Names) > 0 {
			name = strings.TrimPrefix(one.Names[0], "/")
		}
		if !isName(name) {
			return nil, corrupt("/containers/json", "a name that is none")
		}
		names = append(names, name)
	}
	return names, err
}

func labelled(label, value string) string {
	text, _ := json.Marshal(map[string][]string{"label": {label + "=" + value}}) // never fails
	return string(text)
}

// PutFiles unpacks a tar archive below a directory of a container that was made.
func (c *Client) PutFiles(ctx context.Context, id, dir string, tar io.Reader) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := c.send(ctx, http.MethodPut, "/containers/"+id+"/archive", url.Values{"path": {dir}}, "application/x-tar", tar)
	return err
}
