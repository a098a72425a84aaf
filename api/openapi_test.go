package api_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
)

// openAPI is the part of the document that tests look at.
type openAPI struct {
	OpenAPI string                          `json:"openapi"`
	Info    struct{ Title, Version string } `json:"info"`
	Paths   map[string]map[string]operation `json:"paths"`

	Components struct {
		Schemas   map[string]schema   `json:"schemas"`
		Responses map[string]response `json:"responses"`
	} `json:"components"`
}

type operation struct {
	OperationID string                      `json:"operationId"`
	Summary     string                      `json:"summary"`
	Parameters  []struct{ Name, In string } `json:"parameters"`
	RequestBody *struct {
		Content map[string]struct{ Schema schema } `json:"content"`
	} `json:"requestBody"`
	Responses map[string]response `json:"responses"`
}

type response struct {
	Ref     string                             `json:"$ref"`
	Content map[string]struct{ Schema schema } `json:"content"`
}

type schema struct {
	Ref        string            `json:"$ref"`
	Type       any               `json:"type"`
	OneOf      []schema          `json:"oneOf"`
	Required   []string          `json:"required"`
	Properties map[string]schema `json:"properties"`

	Description string `json:"description"`
}

// resolve follows the reference of a response.
func (d openAPI) resolve(r response) response {
	if name, ok := strings.CutPrefix(r.Ref, "#/components/responses/"); ok {
		return d.Components.Responses[name]
	}
	return r
}

func readOpenAPI(t testing.TB) openAPI {
	t.Helper()
	w := send(newServer(t, newNetwork(), nil), "GET", "/openapi.json", "")
	var d openAPI
	if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil || w.Code != 200 {
		t.Fatalf("status %d, error %v", w.Code, err)
	}
	return d
}

// TestOpenAPI: the document has every documented path with the bodies of the
// documents, and every reference in it leads somewhere.
//
// spec 0.58 0.60 0.61 0.63 0.65 0.66 0.67 0.68 0.69 0.70 1.57
func TestOpenAPI(t *testing.T) {
	d := readOpenAPI(t)
	if d.OpenAPI != "3.1.0" || d.Info.Version != "1.2.3" {
		t.Errorf("openapi %q, version %q", d.OpenAPI, d.Info.Version)
	}
	for _, want := range []string{"post /tasks", "get /tasks/{taskId}", "get /tasks/{taskId}/result", "get /network/state", "post /results",
		"get /status", "post /aggregate", "post /global/tasks", "post /regional/results", "get /local/status", "post /api/tasks",
		"post /api/v1/tasks", "get /api/v1/events", "put /api/v1/roles", "put /api/v1/mode", "get /ws", "get /livez", "get /readyz", "get /health", "get /metrics",
		"post /api/v1/objects", "get /api/v1/objects", "get /api/v1/objects/{objectId}", "delete /api/v1/objects/{objectId}"} {
		method, path, _ := strings.Cut(want, " ")
		if op, ok := d.Paths[path][method]; !ok || op.Summary == "" || op.OperationID == "" {
			t.Errorf("%s is missing or says nothing", want)
		}
	}
	if n := len(d.Paths["/tasks"]["post"].RequestBody.Content["application/json"].Schema.OneOf); n != 2 {
		t.Errorf("POST /tasks takes %d kinds of body", n)
	}
	if got := d.Components.Schemas["TaskSpec"].Required; !slices.Equal(got, []string{"type", "data"}) {
		t.Errorf("a task needs %v", got)
	}
	for _, name := range []string{"TaskSpec", "Assignment"} {
		said := d.Components.Schemas[name].Properties["type"].Description
		for _, of := range []string{"compute", "map", "vsa", "vsa_evolution", "benchmark"} {
			if !strings.Contains(said, of+": {") {
				t.Errorf("%s does not say what the data of type %s is: %q", name, of, said)
			}
		}
	}
	for name, s := range d.Components.Schemas {
		for field, p := range s.Properties {
			if types, ok := p.Type.([]any); ok {
				t.Errorf("%s.%s may be %v", name, field, types)
			}
		}
	}
	raw := send(newServer(t, newNetwork(), nil), "GET", "/openapi.json", "").Body.String()
	for _, piece := range strings.Split(raw, `"$ref":"#/components/`)[1:] {
		ref, _, _ := strings.Cut(piece, `"`)
		kind, name, _ := strings.Cut(ref, "/")
		_, isSchema := d.Components.Schemas[name]
		_, isResponse := d.Components.Responses[name]
		if !(kind == "schemas" && isSchema) && !(kind == "responses" && isResponse) {
			t.Errorf("%s leads nowhere", ref)
		}
	}
}

// TestGuideIsComplete: docs/api.md names every path, every error code and every
// event.
func TestGuideIsComplete(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "docs", "api.md"))
	if err != nil {
		t.Fatal(err)
	}
	guide := string(b)
	for path := range readOpenAPI(t).Paths {
		for _, prefix := range []string{"/global/", "/regional/", "/local/"} {
			if rest, ok := strings.CutPrefix(path, prefix); ok {
				path = "/" + rest
			}
		}
		if !strings.Contains(guide, path+"`") {
			t.Errorf("%s is missing", path)
		}
	}
	for _, n := range event.Names() {
		if !strings.Contains(guide, "`"+string(n)+"`") {
			t.Errorf("event %s is missing", n)
		}
	}
	for k := core.Internal; k <= core.Unsupported; k++ {
		if !strings.Contains(guide, "| `"+k.String()+"` |") {
			t.Errorf("code %s is missing", k)
		}
	}
}
