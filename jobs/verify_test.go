package jobs

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/wire"
)

func identity(n byte) *keys.Identity {
	var seed [32]byte
	seed[0] = n
	return keys.FromSeed(seed)
}

// TestVerifyProof bends a good proof in every field: each is core.Corrupt and the
// message says which.
func TestVerifyProof(t *testing.T) {
	now, worker := testNow(), identity(1)
	data, output := []byte(`{"input":[1,2,3,4,5]}`), []byte("55")
	for name, c := range map[string]struct {
		bend   func(p *core.Proof) // before signing
		after  func(r *wire.JobResult)
		from   core.NodeID
		output string
		want   string // part of the message; empty = good
	}{
		"good":                       {},
		"clock 10 min ahead":         {bend: func(p *core.Proof) { p.Timestamp += 600_000 }},
		"clock 10 min behind":        {bend: func(p *core.Proof) { p.Timestamp -= 600_000 }},
		"clock further ahead":        {bend: func(p *core.Proof) { p.Timestamp += 601_000 }, want: "clock is off by -10m1s"},
		"clock further behind":       {bend: func(p *core.Proof) { p.Timestamp -= 601_000 }, want: "clock is off by 10m1s"},
		"clock at the end of time":   {bend: func(p *core.Proof) { p.Timestamp = math.MaxInt64 }, want: "clock"},
		"clock at the start of time": {bend: func(p *core.Proof) { p.Timestamp = math.MinInt64 }, want: "clock"},
		"another operation":          {bend: func(p *core.Proof) { p.OperationType = "train" }, want: `the proof is for "train"`},
		"another input":              {bend: func(p *core.Proof) { p.InputHash[0] ^= 1 }, want: "another input"},
		"another output":             {bend: func(p *core.Proof) { p.OutputHash[0] ^= 1 }, want: "another output"},
		"output exchanged":           {output: "56", want: "another output"},
		"sent by another node":       {from: identity(2).ID(), want: "the proof is of node"},
		"no proof":                   {after: func(r *wire.JobResult) { r.Proofs = nil }, want: "no proof"},
		"no signature":               {after: func(r *wire.JobResult) { r.Proofs[0].Signature = nil }, want: "checking the proof"},
		"forged signature":           {after: func(r *wire.JobResult) { r.Proofs[0].Signature[5] ^= 1 }, want: "checking the proof"},
		"metric changed after":       {after: func(r *wire.JobResult) { r.Proofs[0].ResultMetric = 0.5 }, want: "checking the proof"},
		"metric is no number":        {bend: func(p *core.Proof) { p.ResultMetric = math.NaN() }, want: "checking the proof"},
		"somebody else's name":       {after: func(r *wire.JobResult) { r.Proofs[0].NodeID = identity(2).ID() }, from: identity(2).ID(), want: "checking the proof"},
	} {
		t.Run(name, func(t *testing.T) {
			p := core.Proof{OperationType: "compute", NodeID: worker.ID(), Timestamp: now.UnixMilli(), InputHash: core.Sum(data), OutputHash: core.Sum(output), ResultMetric: 1}
			if c.bend != nil {
				c.bend(&p)
			}
			keys.SignProof(worker, &p)
			r := &wire.JobResult{Proofs: []core.Proof{p}}
			if c.after != nil {
				c.after(r)
			}
			from, out := worker.ID(), output
			if c.from != "" {
				from = c.from
			}
			if c.output != "" {
				out = []byte(c.output)
			}
			u := &Unit{Head: wire.TaskHead{Type: "compute"}, Data: data, InputHash: InputHash(data)}
			err := VerifyProof(keys.NewProofVerifier(), u, from, r, out, now)
			if c.want == "" && err != nil {
				t.Fatal(err)
			}
			if c.want != "" && (!errors.Is(err, core.Corrupt) || !strings.Contains(err.Error(), c.want)) {
				t.Fatalf("got %v, want core.Corrupt with %q", err, c.want)
			}
		})
	}
}

// TestShards: what was asked for, else by work and workers, always within the
// planner's and the network's bounds.
func TestShards(t *testing.T) {
	for name, c := range map[string]struct {
		units                float64
		most, asked, workers int
		want                 int
	}{
		"tiny":                        {10, 100, 0, 8, 1},
		"just under two shards":       {ShardUnits - 1, 100, 0, 8, 1},
		"two shards":                  {ShardUnits, 100, 0, 8, 2},
		"four for each worker":        {1e9, 100, 0, 3, 12},
		"nobody there yet":            {1e9, 100, 0, 0, 4},
		"asked for":                   {10, 100, 7, 1, 7},
		"asked for more than it has":  {10, 5, 7, 1, 5},
		"asked for more than allowed": {10, 1 << 20, 1 << 20, 1, core.MaxParallelism},
		"cannot be cut":               {1e9, 1, 0, 8, 1},
		"planner says none":           {1e9, 0, 0, 8, 1},
		"more than an int holds":      {1e300, 100, 0, 3, 12},
		"infinite":                    {math.Inf(1), 100, 0, 3, 12},
		"no number":                   {math.NaN(), 100, 0, 3, 1},
		"negative":                    {-5, 100, 0, 3, 1},
	} {
		if got := Shards(c.units, c.most, c.asked, c.workers); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// TestLimitsDefaults pins the figures that the protocol's description promises.
func TestLimitsDefaults(t *testing.T) {
	if got := (Limits{}).WithDefaults(); got != (Limits{OfferTTL: time.Second, JobOfferTTL: 10 * time.Second, LeaseTTL: 15 * time.Second,
		AdoptWindow: 400 * time.Millisecond, GroupWindow: 5 * time.Second, Attempts: 4, MaxUnits: 100_000, SpeculateShare: 0.1, SpeculateFloor: time.Second, SpeculateSamples: 20}) {
		t.Errorf("defaults are %+v", got)
	}
	set := Limits{OfferTTL: 1, JobOfferTTL: 5, LeaseTTL: 2, AdoptWindow: 6, GroupWindow: 9, Attempts: 3, MaxUnits: 4, SpeculateShare: -1, SpeculateFloor: 7, SpeculateSamples: 8}
	if got := set.WithDefaults(); got != set {
		t.Errorf("what was set became %+v", got)
	}
}
