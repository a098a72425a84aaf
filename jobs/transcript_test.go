package jobs

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

var update = flag.Bool("update", false, "rewrite the transcripts in testdata with what the board does now")

// TestTranscripts runs every testdata/*.txt against a board: a line is a command,
// the lines under it that start with "  " are what the board does in answer. The
// name of a file is the rule that it shows; its first comment says more. "at +5s"
// lets time pass as the board's owner would: Expire whenever Next says so.
//
// spec 2.49 4.23 4.55
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) { replay(t, f) })
	}
}

func replay(t *testing.T, file string) {
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := newScript()
	var got strings.Builder
	for line := range strings.Lines(string(want)) {
		if strings.HasPrefix(line, "  ") {
			continue // an answer
		}
		got.WriteString(line)
		if words := strings.Fields(line); len(words) > 0 && words[0] != "#" {
			for _, answer := range s.run(t, words) {
				got.WriteString("  " + answer + "\n")
			}
			checkInvariants(t, s.board)
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if got.String() != string(want) {
		t.Errorf("the board does something else than %s says (-update rewrites it):\n%s", file, got.String())
	}
}

// script is a board, its clock, and what its matcher believes.
type script struct {
	board *Board
	start time.Time
	now   time.Time
	world world
}

func newScript() *script {
	start := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	s := &script{start: start, now: start, world: world{}}
	s.board = NewBoard(Limits{}, s.world, 1)
	return s
}

// world is what each child can run: a Matcher for tests. A child that is not in
// it can run everything; a higher score is better.
type world map[core.NodeID]ability

type ability struct {
	types   string // comma list; empty = all
	score   float64
	resting bool
}

// Match implements Matcher.
func (w world) Match(child core.NodeID, u *Unit, _ time.Time) Match {
	a := w[child]
	able := a.types == "" || strings.Contains(","+a.types+",", ","+string(u.Head.Type)+",")
	return Match{Capable: able, Resting: a.resting, Score: a.score}
}

// Explain implements Matcher.
func (w world) Explain(u *Unit, _ time.Time) string {
	return fmt.Sprintf("no node runs %q with cpu %d and memoryMB %d", u.Head.Type, u.Head.Requirements.CPU, u.Head.Requirements.MemoryMB)
}

// run carries out one command: a verb, names, and key=value options.
func (s *script) run(t *testing.T, words []string) (out []string) {
	args, opt := split(words[1:])
	arg := func(i int) string {
		if i >= len(args) {
			t.Fatalf("%q has too few words", words)
		}
		return args[i]
	}
	say := func(format string, a ...any) { out = append(out, fmt.Sprintf(format, a...)) }
	lease := func() wire.LeaseID { return leaseOf(t, arg(1)) }
	child := func() core.NodeID { return core.NodeID(arg(0)) }
	b, now := s.board, s.now
	switch words[0] {
	case "limits":
		s.board = NewBoard(Limits{MaxUnits: number(t, opt["units"]), Attempts: number(t, opt["attempts"]),
			SpeculateSamples: number(t, opt["samples"]), SpeculateShare: float64(number(t, opt["percent"])) / 100}, s.world, 1)
	case "join":
		s.world[child()] = ability{types: opt["types"], score: float64(number(t, opt["score"]))}
		b.Join(ChildInfo{ID: child(), Region: core.RegionID(opt["region"]), CPU: number(t, opt["cpu"]), MemoryMB: int64(number(t, opt["mem"])), Group: opt["group"] != ""})
	case "rest", "wake":
		a := s.world[child()]
		a.resting = words[0] == "rest"
		s.world[child()] = a
		b.Expire(now)
	case "grant":
		b.Grant(child(), classOf(opt), number(t, arg(1)), now)
	case "add":
		if err := b.Add(s.unit(t, arg(0), opt), now); err != nil {
			say("%s: %v", core.KindOf(err), err)
		}
	case "lead":
		b.Lead(uint64(number(t, arg(0))), now)
	case "retire":
		b.Retire()
	case "resume":
		if err := b.Resume(s.unit(t, arg(0), opt), now); err != nil {
			say("%s: %v", core.KindOf(err), err)
		}
	case "claim":
		got, _ := b.Claim(child(), s.claim(t, arg(1), arg(2), opt), now)
		say("%s", [...]string{"unknown", "refused", "known", "adopted"}[got])
	case "accept":
		if u, attempt := b.Accepted(child(), lease(), now); u == nil {
			say("not theirs")
		} else {
			say("%s starts, attempt %d", name(u), attempt)
		}
	case "reject":
		b.Rejected(child(), lease(), wire.Refusal(arg(2)), duration(t, opt["retry"]), now)
	case "renew":
		say("%t", b.Renewed(child(), lease(), 0.5, now))
	case "result":
		if u := b.Resulted(child(), lease(), now); u == nil {
			say("not theirs")
		} else {
			say("result of %s", name(u))
		}
	case "done":
		say("%t", b.Done(key(arg(0)), now))
	case "retry":
		b.Retry(key(arg(0)), core.NodeID(opt["blame"]+opt["from"]), opt["blame"] != "", "the proof was wrong", now)
	case "cancel":
		b.Fail(key(arg(0)), &core.Failure{Reason: core.ReasonCancelled, Message: "the submitter said so"}, now)
	case "leave":
		b.Leave(child(), now)
	case "at":
		return s.wait(t, arg(0))
	case "len":
		units, queued := b.Len()
		say("%d units, %d wait", units, queued)
	default:
		t.Fatalf("unknown command %q", words[0])
	}
	return append(out, s.effects("")...)
}

// wait moves the clock to offset, or by it when it starts with '+'.
func (s *script) wait(t *testing.T, offset string) (out []string) {
	until := s.start.Add(duration(t, strings.TrimPrefix(offset, "+")))
	if strings.HasPrefix(offset, "+") {
		until = s.now.Add(duration(t, offset[1:]))
	}
	for {
		next, ok := s.board.Next()
		if !ok || next.After(until) {
			break
		}
		s.now = later(s.now, next)
		s.board.Expire(s.now)
		out = append(out, s.effects(fmt.Sprintf("at %s: ", s.now.Sub(s.start)))...)
	}
	s.now = until
	return out
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func (s *script) effects(prefix string) (out []string) {
	for _, e := range s.board.Effects() {
		switch {
		case e.Offer != nil:
			out = append(out, fmt.Sprintf("%soffer %s to %s, lease %s, attempt %d", prefix, name(e.Offer.Unit), e.Offer.Child, leaseName(e.Offer.Lease), e.Offer.Attempt))
		case e.Revoke != nil:
			out = append(out, fmt.Sprintf("%srevoke lease %s of %s: %s", prefix, leaseName(e.Revoke.Lease), e.Revoke.Child, e.Revoke.Reason))
		case e.End != nil:
			out = append(out, fmt.Sprintf("%send %s: %v", prefix, name(e.End.Unit), e.End.Failure))
		}
	}
	return out
}

func (s *script) unit(t *testing.T, id string, opt map[string]string) Unit {
	head := wire.TaskHead{Type: "compute", Requirements: core.Requirements{CPU: number(t, opt["cpu"]), MemoryMB: int64(number(t, opt["mem"]))},
		Submitter: opt["by"], Priority: number(t, opt["prio"])}
	if opt["type"] != "" {
		head.Type = core.TaskType(opt["type"])
	}
	queue, deadline := core.DefaultQueueTimeout, core.DefaultTimeout
	if opt["queue"] != "" {
		queue = duration(t, opt["queue"])
	}
	if opt["deadline"] != "" {
		deadline = duration(t, opt["deadline"])
	}
	return Unit{Key: key(id), Class: classOf(opt), Head: head, Home: core.RegionID(opt["home"]), Pool: poolOf(opt["pool"]), Weight: int64(number(t, opt["weight"])),
		QueueUntil: s.now.Add(queue), Deadline: s.now.Add(deadline)}
}

// poolOf reads pool=w1+w2.
func poolOf(names string) Pool {
	if names == "" {
		return ""
	}
	var ids []core.NodeID
	for name := range strings.SplitSeq(names, "+") {
		ids = append(ids, core.NodeID(name))
	}
	return NewPool(ids)
}

// claim reads the claim of a lease on a unit, which hash=other makes another input.
func (s *script) claim(t *testing.T, lease, unit string, opt map[string]string) Claim {
	c := Claim{Key: key(unit), Lease: leaseOf(t, lease), Attempt: max(1, number(t, opt["attempt"])), Finished: opt["finished"] != ""}
	if opt["hash"] != "" {
		c.InputHash = core.Sum([]byte(opt["hash"]))
	}
	return c
}

// leaseOf reads "7", or "2.7" for the seventh of epoch 2.
func leaseOf(t *testing.T, s string) wire.LeaseID {
	epoch, n, ok := strings.Cut(s, ".")
	if !ok {
		epoch, n = "0", s
	}
	return wire.LeaseID(number(t, epoch))<<32 + wire.LeaseID(number(t, n))
}

func leaseName(id wire.LeaseID) string {
	if id < 1<<32 {
		return strconv.Itoa(int(id))
	}
	return fmt.Sprintf("%d.%d", id>>32, id&(1<<32-1))
}

// split separates names from key=value options.
func split(words []string) (args []string, opt map[string]string) {
	opt = map[string]string{}
	for _, w := range words {
		if k, v, ok := strings.Cut(w, "="); ok {
			opt[k] = v
		} else {
			args = append(args, w)
		}
	}
	return args, opt
}

// key reads "t1" or "t1/2".
func key(s string) Key {
	id, index, _ := strings.Cut(s, "/")
	n, _ := strconv.Atoi(index)
	return Key{Task: core.TaskID(id), Index: n}
}

func name(u *Unit) string {
	if u.Index == 0 {
		return string(u.Task)
	}
	return fmt.Sprintf("%s/%d", u.Task, u.Index)
}

func classOf(opt map[string]string) wire.Class {
	if opt["class"] == "job" {
		return wire.ClassJob
	}
	return wire.ClassSubtask
}

func number(t *testing.T, s string) int {
	if s == "" {
		return 0
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func duration(t *testing.T, s string) time.Duration {
	if s == "" {
		return 0
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
