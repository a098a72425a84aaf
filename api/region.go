package api

import (
	"context"
	"net/http"
	"time"

	"github.com/tenzro/tenzro/core"
)

// Coordinators is the group of nodes that keep the journal of this node's region.
type Coordinators interface {
	// Region answers from what this node knows; it need not be a member.
	Region(ctx context.Context) (RegionStatus, error)
	// Admit makes a node a member, Remove takes one out. Both return when the group
	// has recorded it; core.Unavailable without a majority.
	Admit(ctx context.Context, id core.NodeID) error
	Remove(ctx context.Context, id core.NodeID) error
}

// RegionStatus answers GET /api/v1/region.
type RegionStatus struct {
	Region   core.RegionID  `json:"region"`
	Journal  string         `json:"journal"` // "disk" or "memory"
	Leader   core.NodeID    `json:"leader,omitempty"`
	Epoch    uint64         `json:"epoch,string"` // rises with every leader
	Applied  uint64         `json:"applied,string"`
	Open     int            `json:"open"`     // jobs that have not ended
	Finished int            `json:"finished"` // jobs whose end is remembered
	Members  []RegionMember `json:"members"`
}

// RegionMember is one coordinator of a region.
type RegionMember struct {
	ID     core.NodeID `json:"id"`
	State  string      `json:"state"` // "voter", "learner" or "waiting" to be admitted
	Leader bool        `json:"leader"`
	Self   bool        `json:"self"`
	// LastContact is when the leader last heard of it; only the leader knows.
	LastContact time.Time `json:"lastContact,omitzero"`
}

// candidate is the body of POST /api/v1/region/members.
type candidate struct {
	NodeID core.NodeID `json:"nodeId"`
}

// Validate checks the form; whether there is such a node is the group's to say.
func (m candidate) Validate() error { return validMember(m.NodeID) }

func validMember(id core.NodeID) error {
	if len(id) > 64 || !validID(string(id)) {
		return core.Errorf(core.Invalid, "nodeId", "node id %.80q is not one", id).WithHint("tenzro region status shows those of the members and of those who wait")
	}
	return nil
}

func (s *Server) regionRoutes() []*route {
	answer := map[int][]any{http.StatusOK: {RegionStatus{}}}
	return []*route{
		{method: http.MethodGet, path: "/api/v1/region", tag: tagNode, serve: s.getRegion, summary: "The coordinators that keep this node's region", out: answer},
		{method: http.MethodPost, path: "/api/v1/region/members", tag: tagNode, serve: s.admitMember, summary: "Make a node a coordinator of the region",
			in: []any{candidate{}}, out: answer},
		{method: http.MethodDelete, path: "/api/v1/region/members/{nodeId}", tag: tagNode, serve: s.removeMember, summary: "Take a coordinator out of the region",
			params: []param{{inPath, "nodeId", "the coordinator's id"}}, out: answer},
	}
}

func (s *Server) getRegion(x *exchange) error {
	status, err := s.deps.Coordinators.Region(x.r.Context())
	if err != nil {
		return err
	}
	status.Members = list(status.Members)
	return x.json(http.StatusOK, status)
}

func (s *Server) admitMember(x *exchange) error {
	in, err := decode[candidate](s, x)
	if err != nil {
		return err
	}
	if err := s.deps.Coordinators.Admit(x.r.Context(), in.NodeID); err != nil {
		return err
	}
	return s.getRegion(x)
}

func (s *Server) removeMember(x *exchange) error {
	id := core.NodeID(x.r.PathValue("nodeId"))
	if err := validMember(id); err != nil {
		return err
	}
	if err := s.deps.Coordinators.Remove(x.r.Context(), id); err != nil {
		return err
	}
	return s.getRegion(x)
}
