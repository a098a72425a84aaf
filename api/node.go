package api

import (
	"net/http"
	"slices"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/service"
)

const (
	tagNode     = "node"
	tagProbes   = "probes"
	maxRoles    = 16
	maxRoleName = 32
)

type (
	peerList struct {
		Peers []Peer `json:"peers"`
	}
	// roleList is the body and the answer of /api/v1/roles.
	roleList struct {
		Roles []string `json:"roles"`
	}
	// modeName is the body and the answer of /api/v1/mode.
	modeName struct {
		Mode string `json:"mode"`
	}
	// alive answers /livez and /readyz.
	alive struct {
		Status string `json:"status"`
	}
	// health answers /health: "ok" when every check is, else "degraded".
	health struct {
		Status string  `json:"status"`
		Checks []check `json:"checks"`
	}
	check struct {
		Name   string `json:"name"`
		Status string `json:"status"` // "ok" or "fail"
		Detail string `json:"detail,omitempty"`
	}
)

// Validate checks the bounds; which names exist is the node's to say.
func (l roleList) Validate() error {
	if len(l.Roles) < 1 || len(l.Roles) > maxRoles {
		return core.Errorf(core.Invalid, "roles", "roles has %d names; it must have 1 to %d", len(l.Roles), maxRoles)
	}
	for _, name := range l.Roles {
		if len(name) > maxRoleName || !validID(name) {
			return core.Errorf(core.Invalid, "roles", "role %.40q is not a name", name)
		}
	}
	return nil
}

// Validate checks the bounds; which modes exist is the node's to say.
func (m modeName) Validate() error {
	if len(m.Mode) > maxRoleName || !validID(m.Mode) {
		return core.Errorf(core.Invalid, "mode", "mode %.40q is not a name", m.Mode).WithHint("use hybrid, p2p-primary or p2p")
	}
	return nil
}

func (s *Server) nodeRoutes() []*route {
	get := func(path, summary string, out any, h handler) *route {
		return &route{method: http.MethodGet, path: path, tag: tagNode, summary: summary, serve: h, out: map[int][]any{http.StatusOK: {out}}}
	}
	return []*route{
		get("/api/v1/node", "This node", NodeStatus{}, s.getNode),
		get("/api/v1/node/profile", "The machine this node runs on", Profile{}, s.getProfile),
		get("/api/v1/network/parameters", "The rules this network runs under", core.Parameters{}, s.getParameters),
		get("/api/v1/peers", "The connected peers", peerList{}, s.getPeers),
		get("/api/v1/roles", "The active roles", roleList{}, s.getRoles),
		{method: http.MethodPut, path: "/api/v1/roles", tag: tagNode, serve: s.putRoles, summary: "Change the roles of the running node",
			in: []any{roleList{}}, out: map[int][]any{http.StatusOK: {roleList{}}}},
		get("/api/v1/mode", "How much this node relies on coordinators", modeName{}, s.getMode),
		{method: http.MethodPut, path: "/api/v1/mode", tag: tagNode, serve: s.putMode, summary: "Change the mode of the running node",
			in: []any{modeName{}}, out: map[int][]any{http.StatusOK: {modeName{}}}},
	}
}

func (s *Server) getNode(x *exchange) error {
	n := s.deps.Node.Status()
	n.Roles, n.Addrs = list(n.Roles), list(n.Addrs)
	return x.json(http.StatusOK, n)
}

func (s *Server) getProfile(x *exchange) error {
	p := s.deps.Node.Profile()
	p.Accelerators, p.Capabilities = list(p.Accelerators), list(p.Capabilities)
	p.EligibleRoles, p.TaskTypes = list(p.EligibleRoles), list(p.TaskTypes)
	return x.json(http.StatusOK, p)
}

func (s *Server) getParameters(x *exchange) error {
	return x.json(http.StatusOK, s.deps.Node.Parameters())
}

func (s *Server) getPeers(x *exchange) error {
	peers := slices.Clone(list(s.deps.Node.Peers()))
	for i := range peers {
		peers[i].Addrs = list(peers[i].Addrs)
	}
	return x.json(http.StatusOK, peerList{Peers: peers})
}

func (s *Server) getRoles(x *exchange) error {
	return x.json(http.StatusOK, roleList{Roles: list(s.deps.Roles.Roles())})
}

func (s *Server) putRoles(x *exchange) error {
	in, err := decode[roleList](s, x)
	if err != nil {
		return err
	}
	if err := s.deps.Roles.SetRoles(x.r.Context(), in.Roles); err != nil {
		return err
	}
	return s.getRoles(x)
}

func (s *Server) getMode(x *exchange) error {
	return x.json(http.StatusOK, modeName{Mode: s.deps.Modes.Mode()})
}

func (s *Server) putMode(x *exchange) error {
	in, err := decode[modeName](s, x)
	if err != nil {
		return err
	}
	if err := s.deps.Modes.SetMode(x.r.Context(), in.Mode); err != nil {
		return err
	}
	return s.getMode(x)
}

// probeRoutes are for machines that watch: they need no token, except metrics.
func (s *Server) probeRoutes() []*route {
	get := func(path, summary string, out any, h handler) *route {
		return &route{method: http.MethodGet, path: path, tag: tagProbes, summary: summary, serve: h, open: true, out: map[int][]any{http.StatusOK: {out}}}
	}
	metrics := s.metricsHandler()
	return []*route{
		get("/livez", "The process answers", alive{}, s.livez),
		get("/readyz", "Outside work is taken", alive{}, s.readyz),
		get("/health", "Every check by name", health{}, s.health),
		get("/openapi.json", "This document", map[string]any{}, s.openapi),
		{method: http.MethodGet, path: "/metrics", tag: tagProbes, summary: "Metrics for Prometheus", out: map[int][]any{http.StatusOK: {""}},
			media: []string{"text/plain", "application/openmetrics-text", "application/vnd.google.protobuf"},
			serve: func(x *exchange) error { metrics.ServeHTTP(x, x.r); return nil }},
	}
}

func (s *Server) livez(x *exchange) error {
	return x.json(http.StatusOK, alive{Status: "ok"})
}

func (s *Server) readyz(x *exchange) error {
	if err := s.deps.Node.Ready(); err != nil {
		return core.Errorf(core.Unavailable, "ready", "this node does not take outside work: %v", err).
			WithHint("wait, or see /health for what is missing")
	}
	return x.json(http.StatusOK, alive{Status: "ready"})
}

func (s *Server) health(x *exchange) error {
	h := health{Status: "ok", Checks: []check{{Name: "live", Status: "ok"}, {Name: "ready", Status: "ok"}}}
	if err := s.deps.Node.Ready(); err != nil {
		h.Checks[1] = check{Name: "ready", Status: "fail", Detail: err.Error()}
	}
	if s.deps.Services != nil {
		for _, one := range s.deps.Services() {
			h.Checks = append(h.Checks, serviceCheck(one))
		}
	}
	for _, c := range h.Checks {
		if c.Status != "ok" {
			h.Status = "degraded"
		}
	}
	return x.json(http.StatusOK, h)
}

// serviceCheck leaves the error's text out: this answer needs no token.
func serviceCheck(h service.Health) check {
	if h.State == service.BackingOff {
		return check{Name: h.Name, Status: "fail", Detail: "failed and will be started again"}
	}
	return check{Name: h.Name, Status: "ok"}
}

func (s *Server) openapi(x *exchange) error {
	doc, err := s.document()
	if err != nil {
		return err
	}
	x.bytes(http.StatusOK, typeJSON, doc)
	return nil
}
