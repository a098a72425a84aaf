package api

import (
	"context"
	"net/http"
	"time"

	"github.com/tenzro/tenzro/core"
)

const (
	tagTasks     = "tasks"
	defaultLimit = 100
)

func waitParam() param {
	return param{inQuery, "wait", "how long to wait for the task's end, a duration such as 10s"}
}

func idempotencyParam() param {
	return param{inHeader, "Idempotency-Key", "1 to 128 visible ASCII characters; the same key with the same body is the same task"}
}

func traceParam() param {
	return param{inHeader, "traceparent", "W3C Trace Context that the task belongs to; a wrong one is ignored"}
}

func (s *Server) taskRoutes() []*route {
	const base = "/api/v1/tasks"
	one := func(v any) map[int][]any { return map[int][]any{http.StatusOK: {v}} }
	return []*route{
		{method: http.MethodPost, path: base, tag: tagTasks, serve: s.createTask, bigBody: true, in: []any{core.TaskSpec{}},
			summary: "Submit a task; with ?wait= the answer is its result when it ends in time",
			params:  []param{waitParam(), reuseParam(), idempotencyParam(), traceParam()},
			out:     map[int][]any{http.StatusOK: {core.TaskResult{}}, http.StatusAccepted: {core.TaskStatus{}}}},
		{method: http.MethodGet, path: base, tag: tagTasks, serve: s.listTasks, summary: "The newest tasks of all regions", out: one(core.TaskPage{}),
			params: []param{{inQuery, "status", "only tasks in this state"}, {inQuery, "type", "only tasks of this type"},
				{inQuery, "region", "only tasks of this home region"}, {inQuery, "limit", "1 to 1000, default 100"},
				{inQuery, "after", "the next of the page before"}}},
		{method: http.MethodGet, path: base + "/{taskId}", tag: tagTasks, serve: s.getTask, summary: "A task's status", out: one(core.TaskStatus{})},
		{method: http.MethodGet, path: base + "/{taskId}/result", tag: tagTasks, serve: s.getResult, summary: "A task's end, with who computed it and the proofs",
			params: []param{waitParam()}, out: one(core.TaskResult{})},
		{method: http.MethodPost, path: base + "/{taskId}/cancel", tag: tagTasks, serve: s.cancelTask, summary: "End a task", out: one(core.TaskStatus{})},
	}
}

// submit is what every way to submit a task shares.
func (s *Server) submit(x *exchange) (core.TaskStatus, error) {
	key, err := x.idempotencyKey()
	if err != nil {
		return core.TaskStatus{}, err
	}
	spec, err := s.task(x)
	if err != nil {
		return core.TaskStatus{}, err
	}
	spec.Submitter = x.submitter
	defer s.releaseMemory(x) // what follows may wait long and needs no body
	if spec, err = s.resolved(x, spec); err != nil {
		return core.TaskStatus{}, err
	}
	switch once, err := x.reuse(); {
	case err != nil:
		return core.TaskStatus{}, err
	case once: // the content is the key, whatever other one is given
		return s.submitOnce(x.traceContext(), spec)
	}
	return s.deps.Tasks.Submit(x.traceContext(), spec, key)
}

// task reads the task in the body.
func (s *Server) task(x *exchange) (core.TaskSpec, error) {
	b, err := s.body(x)
	if err != nil {
		return core.TaskSpec{}, err
	}
	spec, err := decodeTask(b)
	if err != nil {
		return spec, placed(err)
	}
	return spec, spec.Validate()
}

// status is what every way to ask for a task's status shares.
func (s *Server) status(x *exchange) (core.TaskStatus, error) {
	id, err := x.taskID()
	if err != nil {
		return core.TaskStatus{}, err
	}
	return s.deps.Tasks.Status(x.r.Context(), id)
}

// result is what every way to ask for a task's end shares.
func (s *Server) result(x *exchange) (core.TaskResult, error) {
	id, err := x.taskID()
	if err != nil {
		return core.TaskResult{}, err
	}
	wait, err := s.wait(x)
	if err != nil {
		return core.TaskResult{}, err
	}
	r, err := s.await(x, id, wait)
	return r, withHint(err, core.Conflict, "ask again later, or let the answer wait with ?wait=30s")
}

// await asks for a task's end. A wait ends with the server, so that a node that
// stops does not have to sit out its clients' patience.
func (s *Server) await(x *exchange, id core.TaskID, wait time.Duration) (core.TaskResult, error) {
	if wait == 0 {
		return s.deps.Tasks.Result(x.r.Context(), id, 0)
	}
	x.extend(wait + writeTimeout)
	ctx, cancel := context.WithCancel(x.r.Context())
	defer cancel()
	defer context.AfterFunc(s.draining, cancel)()
	return s.deps.Tasks.Result(ctx, id, wait)
}

func (s *Server) createTask(x *exchange) error {
	wait, err := s.wait(x)
	if err != nil {
		return err
	}
	status, err := s.submit(x)
	if err != nil {
		return err
	}
	x.Header().Set("Location", "/api/v1/tasks/"+string(status.TaskID))
	if wait == 0 {
		return x.json(http.StatusAccepted, status)
	}
	result, err := s.await(x, status.TaskID, wait)
	if err == nil {
		return x.json(http.StatusOK, result)
	}
	// The task is accepted whatever became of the wait: the client must learn its id.
	if now, err := s.deps.Tasks.Status(x.r.Context(), status.TaskID); err == nil {
		status = now
	}
	return x.json(http.StatusAccepted, status)
}

func (s *Server) listTasks(x *exchange) error {
	f, err := x.taskFilter()
	if err != nil {
		return err
	}
	page, err := s.deps.Tasks.List(x.r.Context(), f)
	if err != nil {
		return err
	}
	page.Tasks = list(page.Tasks)
	return x.json(http.StatusOK, page)
}

func (s *Server) getTask(x *exchange) error {
	status, err := s.status(x)
	if err != nil {
		return err
	}
	return x.json(http.StatusOK, status)
}

func (s *Server) getResult(x *exchange) error {
	r, err := s.result(x)
	if err != nil {
		return err
	}
	return x.json(http.StatusOK, r)
}

func (s *Server) cancelTask(x *exchange) error {
	id, err := x.taskID()
	if err != nil {
		return err
	}
	status, err := s.deps.Tasks.Cancel(x.r.Context(), id)
	if err != nil {
		return err
	}
	return x.json(http.StatusOK, status)
}
