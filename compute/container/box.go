package container

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/container/docker"
	"github.com/tenzro/tenzro/core"
)

const (
	// namePrefix begins the name of everything that is made for a task.
	namePrefix = "tenzro-"
	// outcomeGrace is how long after the end of its context it is waited whether a
	// container was made.
	outcomeGrace = 3 * time.Second
	// tidyTimeout bounds removing what one task left.
	tidyTimeout = time.Minute
)

// box is one task in its container, with all that is made for it.
type box struct {
	e    *Executor
	host *Host
	task *Task
	name string // of the container

	report compute.Report // hears what it writes
	unsure bool           // something may have been made that nobody was told of
}

// begin reserves a name. Nothing is made yet.
func (e *Executor) begin(host *Host, t *Task, report compute.Report) *box {
	random := make([]byte, 12)
	_, _ = rand.Read(random) // never fails
	b := &box{e: e, host: host, task: t, name: namePrefix + hex.EncodeToString(random), report: report}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, name := range []string{b.name, b.files()} {
		e.live[name] = true
	}
	return b
}

// files is the name of the volume with the task's files, and of the container through
// which they get there.
func (b *box) files() string { return b.name + "-files" }

// end kills and removes whatever was made, ended context or not. What an engine does not
// remove now is swept later.
func (b *box) end(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTimeout)
	defer cancel()
	err := b.host.engine.Remove(ctx, b.name)
	if len(b.task.Files) > 0 {
		err = errors.Join(err, b.host.engine.Remove(ctx, b.files()), b.host.engine.RemoveVolume(ctx, b.files()))
	}
	b.e.mu.Lock()
	delete(b.e.live, b.name)
	delete(b.e.live, b.files())
	b.e.mu.Unlock()
	if err != nil {
		b.e.log.Warn().Err(err).Str("container", b.name).Msg("a container could not be removed; it is tried again")
	}
	if err != nil || b.unsure {
		b.e.dirty.Store(true)
		b.e.look()
	}
}

// run makes the container, runs it to its end and says how that was.
func (b *box) run(ctx context.Context, ref Ref) (Result, error) {
	image, err := b.host.look(ctx, ref) // again: what runs is what was looked at
	if err != nil {
		return Result{}, err
	}
	volume, err := b.grant(ctx, image)
	if err != nil {
		return Result{}, err
	}
	id, err := b.create(ctx, b.name, spec(string(b.e.cfg.Node), b.task, image, b.cpus(), volume))
	if err != nil {
		return Result{}, unstartable(err)
	}
	if err := ctx.Err(); err != nil { // while it was made
		return Result{}, err
	}
	out := output{left: MaxOutput, report: b.report}
	if err := b.follow(ctx, id, &out); err != nil {
		return Result{}, err
	}
	s, err := b.host.engine.State(ctx, id)
	if err != nil {
		return Result{}, err
	}
	return ended(s, &out, b.task)
}

// create makes a container. A call that is given up may still have its way after what was
// made has been removed, so its outcome is waited for a little longer than ctx says.
func (b *box) create(ctx context.Context, name string, s docker.Spec) (id string, err error) {
	patient, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		timer := time.NewTimer(outcomeGrace)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-patient.Done():
		}
	})()
	id, err = b.host.engine.Create(patient, name, s)
	b.unsure = b.unsure || errors.Is(err, core.Unavailable)
	return id, err
}

// cpus is how many cores the node has for one container.
func (b *box) cpus() float64 {
	all := float64(b.host.cpus)
	if b.e.cfg.CPU > 0 {
		return all * float64(b.e.cfg.CPU) / 100
	}
	return all
}

// grant puts the files of the task into a volume and returns its name, "" when there are
// none. A volume on disk has no bound of its own, so the program can only read it.
func (b *box) grant(ctx context.Context, image docker.Image) (volume string, err error) {
	if len(b.task.Files) == 0 {
		return "", nil
	}
	node, name := string(b.e.cfg.Node), b.files()
	if err := b.host.engine.CreateVolume(ctx, name, map[string]string{label: node}); err != nil {
		b.unsure = b.unsure || errors.Is(err, core.Unavailable)
		return "", err
	}
	id, err := b.create(ctx, name, holder(node, image, name))
	if err != nil {
		return "", err
	}
	archive, err := archive(b.task.Files)
	if err != nil {
		return "", err
	}
	return name, b.host.engine.PutFiles(ctx, id, FilesDir, bytes.NewReader(archive))
}

// archive writes files, and the directories they are in, for everybody to read.
func archive(files map[string][]byte) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	made := map[string]bool{".": true}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		var above []string
		for dir := path.Dir(name); !made[dir]; dir = path.Dir(dir) {
			above, made[dir] = append(above, dir), true
		}
		for _, dir := range slices.Backward(above) {
			if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755}); err != nil {
				return nil, err
			}
		}
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o444, Size: int64(len(files[name]))}); err != nil {
			return nil, err
		}
		if _, err := w.Write(files[name]); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), w.Close()
}

// follow starts the container and reads its output until it has ended.
func (b *box) follow(ctx context.Context, id string, out *output) error {
	engine := b.host.engine
	stream, err := engine.Attach(ctx, id, len(b.task.Stdin) > 0)
	if err != nil {
		return err
	}
	defer stream.Close()
	if err := engine.Start(ctx, id); err != nil {
		return unstartable(err)
	}
	if len(b.task.Stdin) > 0 {
		fed := make(chan struct{})
		go func() { defer close(fed); stream.Feed(b.task.Stdin) }()
		defer func() { stream.Close(); <-fed }()
	}
	if err := stream.Copy(out.writer(core.Stdout, &out.stdout), out.writer(core.Stderr, &out.stderr)); err != nil {
		return err
	}
	return engine.Wait(ctx, id)
}

// unstartable tells what the task asked for from what the engine cannot do.
func unstartable(err error) error {
	switch text := strings.ToLower(err.Error()); {
	case strings.Contains(text, "oom-killed") || strings.Contains(text, "oom killed"):
		return &core.Failure{Reason: core.ReasonMemoryLimit, Message: "the memory of the container is too small to start it: " + err.Error()}
	case errors.Is(err, core.Invalid) && (strings.Contains(text, "no command specified") || strings.Contains(text, "exec:") ||
		strings.Contains(text, "executable file not found") || strings.Contains(text, "permission denied")):
		return &core.Failure{Reason: core.ReasonInvalidInput, Message: "the program cannot be started: " + err.Error()}
	}
	return err
}

// ended makes the result, or the failure, of how a container was when it had ended.
func ended(s docker.State, out *output, t *Task) (Result, error) {
	r := Result{Stdout: out.stdout.Bytes(), Stderr: out.stderr.Bytes(), ExitCode: s.ExitCode}
	switch {
	case s.Running:
		return r, core.Errorf(core.Corrupt, "engine", "the container engine says that a container runs which it said had ended")
	case s.OOMKilled && s.ExitCode != 0:
		return r, &core.Failure{Reason: core.ReasonMemoryLimit,
			Message: fmt.Sprintf("the program needed more than %d MiB of memory%s", t.Limits.MemoryMB, tail(r.Stderr))}
	}
	return r, r.check()
}
