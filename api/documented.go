package api

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tenzro/tenzro/core"
)

const tagDocumented = "documented"

// contract is what one node type does at a documented path.
type contract struct {
	serve   handler
	in, out any // in is nil when there is no body
}

// contracts has a contract per node type; a zero one means that the type does
// not know the path.
type contracts [core.Global + 1]contract

// documented is one endpoint of the documents' API reference (document 0).
type documented struct {
	method, path, summary string
	status                int
	bigBody               bool
	params                []param
	by                    contracts
	everywhere            handler // serves the root path whatever the node's type
}

func (s *Server) documented() []documented {
	accept, read := http.StatusAccepted, http.StatusOK
	global := func(h func(*exchange, Global) error) handler { return whileActive(s.deps.Global, core.Global, h) }
	regional := func(h func(*exchange, Regional) error) handler {
		return whileActive(s.deps.Regional, core.Regional, h)
	}
	local := func(h func(*exchange, Local) error) handler { return whileActive(s.deps.Local, core.Local, h) }
	return []documented{
		{method: http.MethodPost, path: "/tasks", summary: "Submit, distribute or assign a task", status: accept, bigBody: true,
			params: []param{idempotencyParam()}, by: contracts{
				core.Global:   {global(s.globalSubmit), core.TaskSpec{}, submitted{}},
				core.Regional: {regional(s.regionalSubmit), assignment{}, distributing{}},
				core.Local:    {local(s.localSubmit), assignment{}, accepted{}}}},
		{method: http.MethodGet, path: "/tasks/{taskId}", summary: "How far a task is", status: read, everywhere: s.progress,
			by: contracts{core.Global: {global(ignoring(s.progress)), nil, progress{}}}},
		{method: http.MethodGet, path: "/tasks/{taskId}/result", summary: "The end of a task", status: read, everywhere: s.outcome,
			params: []param{waitParam()}, by: contracts{core.Global: {global(ignoring(s.outcome)), nil, outcome{}}}},
		{method: http.MethodGet, path: "/network/state", summary: "The network, or the region, as this node sees it", status: read,
			by: contracts{core.Global: {global(s.globalState), nil, core.GlobalState{}},
				core.Regional: {regional(s.regionalState), nil, core.RegionalState{}}}},
		{method: http.MethodPost, path: "/results", summary: "Hand in a node's result for aggregation and validation", status: accept, bigBody: true,
			by: contracts{core.Regional: {regional(s.regionalResult), partialResult{}, accepted{}}}},
		{method: http.MethodGet, path: "/status", summary: "This node as a local node", status: read,
			by: contracts{core.Local: {local(s.localStatus), nil, core.LocalStatus{}}}},
		{method: http.MethodPost, path: "/aggregate", summary: "Propose an aggregation to nearby nodes", status: accept,
			by: contracts{core.Local: {local(s.localAggregate), aggregate{}, proposed{}}}},
	}
}

// documentedRoutes puts each documented endpoint at the root, where the node's
// highest type decides which contract holds, under its type's name, and the tasks
// also under /api.
func (s *Server) documentedRoutes() []*route {
	var routes []*route
	for _, d := range s.documented() {
		routes = append(routes, d.route("", s.atRoot(d), d.by[:]...))
		if strings.HasPrefix(d.path, "/tasks") {
			routes = append(routes, d.route("/api", s.atRoot(d), d.by[:]...))
		}
		for t := core.Local; t <= core.Global; t++ {
			if c := d.by[t]; c.serve != nil {
				routes = append(routes, d.route("/"+t.String(), c.serve, c))
			}
		}
	}
	return routes
}

func (d documented) route(prefix string, serve handler, contracts ...contract) *route {
	r := &route{method: d.method, path: prefix + d.path, summary: d.summary, tag: tagDocumented,
		params: d.params, bigBody: d.bigBody, serve: serve, out: map[int][]any{}}
	for _, c := range contracts {
		if c.in != nil {
			r.in = append(r.in, c.in)
		}
		if c.out != nil {
			r.out[d.status] = append(r.out[d.status], c.out)
		}
	}
	return r
}

// atRoot picks the contract at request time: that of the highest active type or,
// when the documents give it none here, of the next below.
func (s *Server) atRoot(d documented) handler {
	if d.everywhere != nil {
		return d.everywhere
	}
	return func(x *exchange) error {
		for t := min(s.deps.Highest(), core.Global); t >= core.Local; t-- {
			if d.by[t].serve != nil {
				return d.by[t].serve(x)
			}
		}
		return d.nobody()
	}
}

// nobody says which node types would have answered.
func (d documented) nobody() error {
	var types []string
	for t := core.Global; t >= core.Local; t-- {
		if d.by[t].serve != nil {
			types = append(types, t.String())
		}
	}
	want := strings.Join(types, " or ")
	return core.Errorf(core.NotFound, "path", "%s %s is answered by %s nodes; this node is none", d.method, d.path, want).
		WithHint("ask a " + want + " node, or give this one the role with PUT /api/v1/roles")
}

// whileActive serves h with the role as it is now, or says that it is not active.
func whileActive[R any](role func() R, t core.NodeType, h func(*exchange, R) error) handler {
	return func(x *exchange) error {
		r := role()
		if any(r) == nil {
			return core.Errorf(core.NotFound, "role", "this node does not act as a %s node", t).
				WithHint("ask a " + t.String() + " node, or give this one the role with PUT /api/v1/roles")
		}
		return h(x, r)
	}
}

// ignoring makes a handler that needs no role into one that is given it.
func ignoring(h handler) func(*exchange, Global) error {
	return func(x *exchange, _ Global) error { return h(x) }
}

func (s *Server) globalSubmit(x *exchange, _ Global) error {
	status, err := s.submit(x)
	if err != nil {
		return err
	}
	return x.json(http.StatusAccepted, submitted{TaskID: status.TaskID, Status: status.Status})
}

func (s *Server) regionalSubmit(x *exchange, r Regional) error {
	a, err := decode[assignment](s, x)
	if err != nil {
		return err
	}
	a.Submitter = x.submitter
	if a.TaskSpec, err = s.resolved(x, a.TaskSpec); err != nil {
		return err
	}
	n, err := r.Distribute(x.r.Context(), a.TaskID, a.TaskSpec)
	if err != nil {
		return err
	}
	return x.json(http.StatusAccepted, distributing{Status: "distributing", NodesAssigned: n})
}

func (s *Server) localSubmit(x *exchange, l Local) error {
	a, err := decode[assignment](s, x)
	if err != nil {
		return err
	}
	a.Submitter = x.submitter
	if a.TaskSpec, err = s.resolved(x, a.TaskSpec); err != nil {
		return err
	}
	if err := l.Assign(x.r.Context(), a.TaskID, a.TaskSpec); err != nil {
		return err
	}
	return x.json(http.StatusAccepted, accepted{Status: "accepted"})
}

func (s *Server) progress(x *exchange) error {
	status, err := s.status(x)
	if err != nil {
		return err
	}
	return x.json(http.StatusOK, progress{TaskID: status.TaskID, Status: status.Status, Progress: status.Progress, Failure: status.Failure})
}

func (s *Server) outcome(x *exchange) error {
	r, err := s.result(x)
	if err != nil {
		return err
	}
	return x.json(http.StatusOK, outcome{TaskID: r.TaskID, Status: r.Status, Result: r.Result, Failure: r.Failure})
}

func (s *Server) globalState(x *exchange, g Global) error {
	state, err := g.NetworkState(x.r.Context())
	if err != nil {
		return err
	}
	state.Regions = list(state.Regions)
	return x.json(http.StatusOK, state)
}

func (s *Server) regionalState(x *exchange, r Regional) error {
	state, err := r.NetworkState(x.r.Context())
	if err != nil {
		return err
	}
	state.Nodes, state.Aggregations = list(state.Nodes), slices.Clone(list(state.Aggregations))
	for i := range state.Aggregations {
		state.Aggregations[i].Nodes = list(state.Aggregations[i].Nodes)
	}
	return x.json(http.StatusOK, state)
}

func (s *Server) regionalResult(x *exchange, r Regional) error {
	in, err := decode[partialResult](s, x)
	if err != nil {
		return err
	}
	if err := r.AcceptResult(x.r.Context(), in.TaskID, in.NodeID, in.Result); err != nil {
		return err
	}
	return x.json(http.StatusAccepted, accepted{Status: "aggregating"})
}

func (s *Server) localStatus(x *exchange, l Local) error {
	status, err := l.Status(x.r.Context())
	if err != nil {
		return err
	}
	return x.json(http.StatusOK, status)
}

func (s *Server) localAggregate(x *exchange, l Local) error {
	in, err := decode[aggregate](s, x)
	if err != nil {
		return err
	}
	id, err := l.Aggregate(x.r.Context(), in.TargetTier, time.Duration(in.Timeout)*time.Millisecond)
	if err != nil {
		return err
	}
	return x.json(http.StatusAccepted, proposed{ProposalID: id, Status: "pending"})
}

// list makes a missing list an empty one: clients get [] and never null.
func list[T any](v []T) []T {
	if v == nil {
		return []T{}
	}
	return v
}
