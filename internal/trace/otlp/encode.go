package otlp

import (
	"encoding/hex"
	"strconv"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/trace"
)

// The JSON of opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest:
// 64-bit integers as strings, ids in hexadecimal.

type request struct {
	ResourceSpans []resourceSpans `json:"resourceSpans"`
}

type resourceSpans struct {
	Resource   resource     `json:"resource"`
	ScopeSpans []scopeSpans `json:"scopeSpans"`
}

type resource struct {
	Attributes []attribute `json:"attributes"`
}

type scopeSpans struct {
	Scope scope  `json:"scope"`
	Spans []span `json:"spans"`
}

type scope struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

type span struct {
	TraceID    string      `json:"traceId"`
	SpanID     string      `json:"spanId"`
	Parent     string      `json:"parentSpanId,omitempty"`
	Name       string      `json:"name"`
	Kind       int         `json:"kind"`
	Start      string      `json:"startTimeUnixNano"`
	End        string      `json:"endTimeUnixNano"`
	Attributes []attribute `json:"attributes,omitempty"`
	Status     status      `json:"status"`
	Flags      uint32      `json:"flags"`
}

type status struct {
	Code    int    `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

type attribute struct {
	Key   string `json:"key"`
	Value value  `json:"value"`
}

type value struct {
	String *string `json:"stringValue,omitempty"`
	Int    string  `json:"intValue,omitempty"`
}

// Numbers of the protocol.
const (
	kindInternal = 1
	kindServer   = 2
	kindConsumer = 5
	statusError  = 2
)

func text(key, v string) attribute { return attribute{key, value{String: &v}} }

func number(key string, v int) attribute { return attribute{key, value{Int: strconv.Itoa(v)}} }

// request is one message with a batch of spans.
func (c Config) request(batch []trace.Span) request {
	spans := make([]span, len(batch))
	for i := range batch {
		spans[i] = encode(&batch[i])
	}
	about := resource{[]attribute{text("service.name", "tenzro"), text("service.version", c.Version),
		text("service.instance.id", string(c.Node)), text("tenzro.network", string(c.Network))}}
	return request{[]resourceSpans{{about, []scopeSpans{{scope{"tenzro", c.Version}, spans}}}}}
}

func encode(s *trace.Span) span {
	start := s.Start.UnixNano()
	out := span{TraceID: s.Context.ID(), SpanID: hex.EncodeToString(s.ID[:]), Name: s.Name, Kind: kindOf(s.Name),
		Start: strconv.FormatInt(start, 10), End: strconv.FormatInt(start+s.TookUS*1000, 10), Flags: uint32(s.Flags),
		Attributes: []attribute{text("tenzro.task", string(s.Task)), text("tenzro.at", s.At), text("tenzro.node", string(s.Node))}}
	if s.Context.Parent != [8]byte{} {
		out.Parent = hex.EncodeToString(s.Context.Parent[:])
	}
	if s.Subtask != nil {
		out.Attributes = append(out.Attributes, number("tenzro.subtask", *s.Subtask), number("tenzro.attempt", s.Attempt))
	}
	if s.Note != "" {
		out.Attributes = append(out.Attributes, text("tenzro.outcome", s.Note))
		if s.Note != "ok" && s.Note != string(core.TaskCompleted) {
			out.Status = status{statusError, s.Note}
		}
	}
	return out
}

// kindOf says how a span came to be: asked for by a user, given by another node, or
// part of one of those.
func kindOf(name string) int {
	switch name {
	case "task":
		return kindServer
	case "job", "relay", "subtask":
		return kindConsumer
	}
	return kindInternal
}
