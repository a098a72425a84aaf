package api

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tenzro/tenzro/core"
)

const schemaPrefix = "#/components/schemas/"

// document builds the OpenAPI document from the routes.
func document(routes []*route, version string) ([]byte, error) {
	schemas := huma.NewMapRegistry(schemaPrefix, huma.DefaultSchemaNamer)
	api := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{Title: "Tenzro node", Version: version,
			Description: "The HTTP API of a node. Documented paths answer by the node's highest active type; /global, /regional and /local name one."},
		Components: &huma.Components{Schemas: schemas, SecuritySchemes: map[string]*huma.SecurityScheme{
			"token": {Type: "http", Scheme: "bearer", Description: "needed when the node runs with api.auth token"}}},
	}
	api.Components.Responses = problems(schemas)
	for _, r := range routes {
		api.AddOperation(operation(r, schemas))
	}
	adjust(schemas.Map())
	return json.Marshal(api)
}

// taskTypes says which types there are and what their data is, which only the
// engine of the type judges.
const taskTypes = "compute: {input, operations}, a pipeline over numbers (docs/compute.md); " +
	"map: {task, over, combine}, another task for each item of a list, text or table (docs/map.md); " +
	"vsa: {kind, dimension, vectors, steps, result}, a program over hypervectors (docs/vsa.md); " +
	"vsa_evolution: {kind, dimension, exemplars, seed}, a vector evolved towards exemplars, its fitness the proof's metric (docs/vsa.md); " +
	"wasm: {module: base64 of a WebAssembly module, function: _start, args, env, stdin: base64, input, files: {path: base64}, " +
	"limits: {fuel, memoryMB, timeoutMs}}, where {\"object\": id} may stand for module, stdin and files (docs/objects.md); the result is {stdout, stderr, exitCode, fuel, values, files} (docs/wasm.md); " +
	"container: {image: name@sha256:..., command, args, env, stdin: base64, input, files: {path: base64}, " +
	"limits: {memoryMB, cpus, pids, timeoutMs}}; the result is {stdout, stderr, exitCode} (docs/containers.md); " +
	"benchmark: {workload, segments, seed}, how fast a worker is (docs/benchmark.md); " +
	"workflow: a graph of tasks (docs/workflows.md)"

func operation(r *route, schemas huma.Registry) *huma.Operation {
	op := &huma.Operation{Method: r.method, Path: r.path, OperationID: operationID(r), Summary: r.summary,
		Tags: []string{r.tag}, Parameters: parameters(r), Responses: responses(r, schemas)}
	if !r.open {
		op.Security = []map[string][]string{{"token": {}}, {}}
	}
	if len(r.in) > 0 {
		takes := typeJSON
		if r.takes != "" {
			takes = r.takes
		}
		op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{takes: {Schema: oneOf(r.in, schemas)}}}
	}
	return op
}

// operationID joins method and path: "get-api-v1-tasks-taskId".
func operationID(r *route) string {
	clean := strings.NewReplacer("{", "", "}", "", "/", "-", ".", "-").Replace(r.path)
	return strings.ToLower(r.method) + clean
}

func parameters(r *route) []*huma.Param {
	params := r.params
	for name, doc := range map[string]string{"taskId": "the task's id", "objectId": "the object's id, the SHA-256 of its bytes in hex"} {
		if strings.Contains(r.path, "{"+name+"}") {
			params = append([]param{{inPath, name, doc}}, params...)
		}
	}
	out := make([]*huma.Param, len(params))
	for i, p := range params {
		out[i] = &huma.Param{Name: p.name, In: p.in, Description: p.doc, Required: p.in == inPath, Schema: &huma.Schema{Type: huma.TypeString}}
	}
	return out
}

// responses lists the successes and every error the route can answer with.
func responses(r *route, schemas huma.Registry) map[string]*huma.Response {
	media := r.media
	if len(media) == 0 {
		media = []string{typeJSON}
	}
	all := map[string]*huma.Response{}
	for status, bodies := range r.out {
		resp := &huma.Response{Description: http.StatusText(status)}
		if len(bodies) > 0 {
			resp.Content = map[string]*huma.MediaType{}
			for _, m := range media {
				resp.Content[m] = &huma.MediaType{Schema: oneOf(bodies, schemas)}
			}
		}
		all[strconv.Itoa(status)] = resp
	}
	for _, status := range errorStatuses(r) {
		all[strconv.Itoa(status)] = &huma.Response{Ref: "#/components/responses/" + strconv.Itoa(status), Description: http.StatusText(status)}
	}
	return all
}

// problems describes every error status once.
func problems(schemas huma.Registry) map[string]*huma.Response {
	problem := schemas.Schema(reflect.TypeFor[Problem](), true, "")
	all := map[string]*huma.Response{}
	statuses := append(errorStatuses(&route{path: socketPath, in: []any{""}}), errorStatuses(&route{path: objectPath})...)
	for _, status := range statuses {
		all[strconv.Itoa(status)] = &huma.Response{Description: http.StatusText(status),
			Content: map[string]*huma.MediaType{typeProblem: {Schema: problem}}}
	}
	return all
}

// errorStatuses is one per kind and what HTTP itself refuses.
func errorStatuses(r *route) []int {
	var all []int
	for k := core.Internal; k <= core.Full; k++ {
		all = append(all, statusOf(k))
	}
	if !r.open {
		all = append(all, http.StatusUnauthorized)
	}
	if len(r.in) > 0 {
		all = append(all, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusRequestTimeout)
	}
	switch r.path {
	case socketPath:
		all = append(all, http.StatusUpgradeRequired)
	case objectPath:
		all = append(all, http.StatusRequestedRangeNotSatisfiable)
	}
	return all
}

func oneOf(values []any, schemas huma.Registry) *huma.Schema {
	var types []reflect.Type
	for _, v := range values {
		if t := reflect.TypeOf(v); !slices.Contains(types, t) {
			types = append(types, t)
		}
	}
	one := make([]*huma.Schema, len(types))
	for i, t := range types {
		one[i] = schemas.Schema(t, true, "")
	}
	if len(one) == 1 {
		return one[0]
	}
	return &huma.Schema{OneOf: one}
}

// adjust says what Go types cannot: which fields of a body may be missing, that
// no list is ever null, and which number is written as a string.
func adjust(schemas map[string]*huma.Schema) {
	for _, s := range schemas {
		for _, p := range s.Properties {
			if p.Type == huma.TypeArray {
				p.Nullable = false
			}
		}
	}
	optional := func(name string, fields ...string) {
		if s := schemas[name]; s != nil {
			s.Required = slices.DeleteFunc(s.Required, func(f string) bool { return slices.Contains(fields, f) })
		}
	}
	optional("TaskSpec", "requirements")
	describeData(schemas["TaskSpec"])
	optional("Assignment", "requirements")
	for _, name := range []string{"TaskSpec", "Assignment"} {
		if s := schemas[name]; s != nil && s.Properties["type"] != nil {
			s.Properties["type"].Description = "which engine runs the task, and so what data is: " + taskTypes
		}
	}
	if s := schemas["Proof"]; s != nil {
		s.Properties["timestamp"] = &huma.Schema{Type: huma.TypeString, Description: "Unix milliseconds, decimal"}
		s.Properties["inclusion"].Description = "where the signature covers several proofs, the way from this one to what is signed (docs/spec/wire.md)"
	}
}

// describeData lets data be anything: only the engine of the type judges it.
func describeData(spec *huma.Schema) {
	if spec == nil || spec.Properties["data"] == nil {
		return
	}
	spec.Properties["data"] = &huma.Schema{Description: "What the engine of the type takes; the type says what that is."}
	spec.Properties["limits"] = &huma.Schema{Type: huma.TypeObject, Description: "the same as limits in data, for types that have limits"}
}
