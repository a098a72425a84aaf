package journal

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/p2p"
	"github.com/tenzro/tenzro/wire"
)

// The region protocol, docs/spec/journal.md: one question and one answer on a
// stream, each a length of four bytes and JSON.
const (
	maxQuestion = 1 << 10
	maxAnswer   = 64 << 10
	opStatus    = "status"  // members: how far are you
	opMembers   = "members" // members: who is there
	opAdd       = "add"     // members
	opRemove    = "remove"  // members
	opJoin      = "join"    // anybody: take me in
)

// RegionProtocol is the id of the protocol by which members of a region's group
// are asked.
func RegionProtocol(network core.NetworkID, region core.RegionID) string {
	return p2p.ProtocolID(network, "region/"+string(region), "1.0.0")
}

type question struct {
	Op string      `json:"op"`
	ID core.NodeID `json:"id,omitempty"`
}

// answer is empty but for Leader when somebody else has to be asked.
type answer struct {
	Fault   *wire.Fault `json:"fault,omitempty"`
	Leader  core.NodeID `json:"leader,omitempty"`
	Members []Member    `json:"members,omitempty"`
	Applied uint64      `json:"applied,omitempty"`
}

func (g *Group) handle() {
	if g.cfg.Streams == nil {
		return
	}
	g.cfg.Streams.HandleStream(RaftProtocol(g.cfg.Network, g.cfg.Region), func(ctx context.Context, from core.NodeID, s p2p.Stream) {
		if run := g.running(); run != nil {
			run.layer.serve(ctx, from, s)
		}
	})
	g.cfg.Streams.HandleStream(RegionProtocol(g.cfg.Network, g.cfg.Region), g.serveRegion)
}

func (g *Group) unhandle() {
	if g.cfg.Streams != nil {
		g.cfg.Streams.RemoveHandler(RaftProtocol(g.cfg.Network, g.cfg.Region))
		g.cfg.Streams.RemoveHandler(RegionProtocol(g.cfg.Network, g.cfg.Region))
	}
}

// serveRegion answers one question.
func (g *Group) serveRegion(ctx context.Context, from core.NodeID, s p2p.Stream) {
	_ = s.SetDeadline(time.Now().Add(g.cfg.Wait))
	ctx, cancel := context.WithTimeout(ctx, g.cfg.Wait)
	defer cancel()
	b, err := readSized(s, maxQuestion)
	if err != nil {
		_ = s.Reset()
		return
	}
	var q question
	a := answer{}
	if err = wire.DecodeStrict(b, &q); err == nil {
		a, err = g.answer(ctx, from, q)
	}
	if err != nil {
		a = answer{Fault: wire.FaultOf(err)}
	}
	if err := writeSized(s, a); err != nil {
		g.log.Debug().Err(err).Str("peer", string(from)).Msg("a question about the region was not answered")
	}
}

func (g *Group) answer(ctx context.Context, from core.NodeID, q question) (answer, error) {
	if !g.Formed() {
		return answer{}, core.Errorf(core.NotFound, "region", "node %s has no group of region %s yet", g.cfg.Self, g.cfg.Region)
	}
	if q.Op != opJoin && !g.knows(from) {
		return answer{}, core.Errorf(core.Denied, "region", "node %s is no coordinator of region %s", from, g.cfg.Region)
	}
	if q.Op == opStatus {
		return answer{Applied: g.m.appliedIndex()}, nil
	}
	if _, _, err := g.leading(); err != nil {
		if id, _, ok := g.Leader(); ok {
			return answer{Leader: id}, nil
		}
		if q.Op == opJoin {
			err = closed(g.cfg.Region, err)
		}
		return answer{}, err
	}
	switch q.Op {
	case opJoin:
		return g.admit(ctx, from)
	case opMembers:
		return answer{Members: g.seats()}, nil
	case opAdd:
		return answer{}, g.add(ctx, q.ID)
	case opRemove:
		return answer{}, g.remove(ctx, q.ID)
	}
	return answer{}, core.Errorf(core.Unsupported, "region", "the question %.20q is not known", q.Op)
}

// closed says that there is a group, which lets nobody in just now.
func closed(region core.RegionID, err error) error {
	return core.Errorf(core.Denied, "region", "the group of region %s lets nobody in right now: %v", region, err).
		WithHint("try again in a few seconds; `tenzro region status` on one of its coordinators shows who is missing")
}

// ask puts a question to a node and follows it to the leader. Who asks to be let
// in has to know a group that cannot answer now from none: that is core.Denied.
func (g *Group) ask(ctx context.Context, id core.NodeID, q question) (a answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.Wait)
	defer cancel()
	led := false
	defer func() {
		if err != nil && led && q.Op == opJoin {
			err = closed(g.cfg.Region, err)
		}
	}()
	for range 3 {
		var a answer
		var err error
		if id == g.cfg.Self {
			a, err = g.answer(ctx, g.cfg.Self, q)
		} else {
			a, err = g.askOne(ctx, id, q)
		}
		if err != nil || a.Leader == "" {
			return a, err
		}
		id, led = a.Leader, true
	}
	return answer{}, core.Errorf(core.Unavailable, "region", "the coordinators of region %s do not agree who leads", g.cfg.Region).
		WithHint("try again in a few seconds")
}

func (g *Group) askOne(ctx context.Context, id core.NodeID, q question) (a answer, err error) {
	if g.cfg.Streams == nil {
		return a, core.Errorf(core.Unavailable, "region", "this journal has no network")
	}
	s, err := g.cfg.Streams.OpenStream(ctx, id, RegionProtocol(g.cfg.Network, g.cfg.Region))
	if err != nil {
		return a, err
	}
	defer s.Close()
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer stop()
	b, err := []byte(nil), writeSized(s, q)
	if err == nil {
		b, err = readSized(s, maxAnswer)
	}
	if err != nil {
		return a, core.Errorf(core.Unavailable, "region", "asking node %s about region %s: %w", id, g.cfg.Region, err)
	}
	if err := wire.DecodeStrict(b, &a); err != nil {
		return a, core.Errorf(core.Corrupt, "region", "node %s answers nonsense: %w", id, err)
	}
	return a, a.Fault.Err()
}

func writeSized(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...))
	return err
}

func readSized(r io.Reader, most uint32) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > most {
		return nil, core.Errorf(core.Invalid, "region", "a message of %d bytes is too long; at most %d", n, most)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}
