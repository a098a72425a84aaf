package wire

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
)

// everything has a field of every kind that the reader treats in its own way,
// and some that it leaves to encoding/json.
type everything struct {
	S     string
	Named core.TaskState `json:"named"`
	B     bool
	I     int8
	U     uint16
	F     float64
	Q     int64  `json:",string"`
	QU    uint64 `json:"qu,string"`
	P     *int
	PP    **string
	Raw   json.RawMessage
	Bytes []byte
	Time  time.Time
	Sum   core.Digest
	Tier  core.Tier
	Tiers []core.Tier
	List  []core.Accelerator
	N     []string
	M     map[string]core.Attempt
	Any   any
	Num   json.Number
	Arr   [2]int
	F32   float32
	Deep  *everything
	Skip  string `json:"-"`
	inner int
}

const everythingText = `{"S":"\u00fc\ud83d\ude00","named":"done","B":true,"I":-8,"U":65535,"F":1e-7,"Q":"-5","qu":"18446744073709551615",` +
	`"P":3,"PP":"x","Raw":{ "a" : [1, 2] },"Bytes":"AQI=","Time":"2026-11-20T09:00:00Z","Sum":"` +
	`e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","Tier":"training","Tiers":["inference"],"List":[{"vendor":"v"},{}],` +
	`"N":["a",null],"M":{"a":{"index":1},"A":{}},"Any":{"x":[null,true,1.5,"y"]},"Num":12,"Arr":[1,2],"F32":0.5,` +
	`"Deep":{"S":"inside","Deep":null},"extra":[{}]}`

func TestDecodeStrictIsJSON(t *testing.T) {
	var got, want everything
	if err := DecodeStrict([]byte(everythingText), &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(everythingText), &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if string(got.Raw) != `{ "a" : [1, 2] }` {
		t.Errorf("raw bytes became %s", got.Raw)
	}
}

// spec 0.23
func TestDecodeStrictRefuses(t *testing.T) {
	const spec = `{"type":"compute","requirements":{},"data":{}`
	deep := func(n int) string { return spec[:len(spec)-2] + nested(n) + "}" }
	for _, c := range []struct {
		name, text string
		v          any
		op         string // "" with ok
		ok, closed bool
	}{
		{name: "unknown field, open", text: spec + `,"x":{"y":1}}`, v: new(core.TaskSpec), ok: true},
		{name: "unknown field, closed", text: spec + `,"x":{"y":1}}`, v: new(core.TaskSpec), closed: true, op: "x"},
		{name: "unknown field deeper, closed", text: `{"requirements":{"gpu":1}}`, v: new(core.TaskSpec), closed: true, op: "requirements.gpu"},
		{name: "unknown field in raw, closed", text: `{"data":{"gpu":1}}`, v: new(core.TaskSpec), closed: true, ok: true},
		{name: "unknown field of an embedded struct, closed", text: `{"id":"n","tier":"trainer","aggregatedWith":"x"}`, v: new(core.LocalStatus), closed: true, ok: true},
		{name: "case variant", text: `{"Type":"compute"}`, v: new(core.TaskSpec), op: "Type"},
		{name: "case variant of an embedded field", text: `{"activetaskcount":1}`, v: new(core.LocalStatus), op: "activetaskcount"},
		{name: "case variant inside a map", text: `{"M":{"x":{"Index":1}}}`, v: new(everything), op: "M.x.Index"},
		{name: "case variant under a pointer", text: `{"Deep":{"s":"x"}}`, v: new(everything), op: "Deep.s"},
		{name: "case variants as map keys", text: `{"M":{"x":{},"X":{}}}`, v: new(everything), ok: true},
		{name: "duplicate in a map", text: `{"M":{"x":{},"x":{}}}`, v: new(everything), op: "M.x"},
		{name: "duplicate among many", text: `{"Any":{` + manyKeys(100) + `,"k7":1}}`, v: new(everything), op: "Any.k7"},
		{name: "many keys", text: `{"Any":{` + manyKeys(100) + `}}`, v: new(everything), ok: true},
		{name: "path into an array", text: `{"data":{"input":[1,2,3,"\ud800"]}}`, v: new(core.TaskSpec), op: "data.input[3]"},
		{name: "path into nested arrays", text: `{"data":[[1],[2,[nul]]]}`, v: new(core.TaskSpec), op: "data[1][1][0]"},
		{name: "wrong type", text: `{"requirements":{"cpu":"80"}}`, v: new(core.TaskSpec), op: "requirements.cpu"},
		{name: "object for a number", text: `{"requirements":{"cpu":{}}}`, v: new(core.TaskSpec), op: "requirements.cpu"},
		{name: "array for an object", text: `{"requirements":[]}`, v: new(core.TaskSpec), op: "requirements"},
		{name: "fraction for an integer", text: `{"parallelism":1.0}`, v: new(core.TaskSpec), op: "parallelism"},
		{name: "unknown word", text: `{"requirements":{"minTier":"giant"}}`, v: new(core.TaskSpec), op: "requirements.minTier"},
		{name: "out of range", text: `{"I":128}`, v: new(everything), op: "I"},
		{name: "list element", text: `{"List":[{},{"memoryMB":"x"}]}`, v: new(everything), op: "List[1].memoryMB"},
		{name: "base64 with a line end", text: `{"Bytes":"AQ\nI="}`, v: new(everything), op: "Bytes"},
		{name: "null for the whole", text: `null`, v: new(core.TaskSpec), op: "-"},
		{name: "trailing data", text: `{} {}`, v: new(core.TaskSpec), op: "-"},
		{name: "empty", text: ``, v: new(core.TaskSpec), op: "-"},
		{name: "byte order mark", text: "\ufeff{}", v: new(core.TaskSpec), op: "-"},
		{name: "depth of raw data at the limit", text: deep(MaxDepth), v: new(core.TaskSpec), ok: true},
		{name: "depth of raw data beyond it", text: deep(MaxDepth + 1), v: new(core.TaskSpec), op: "data" + strings.Repeat("[0]", MaxDepth)},
		{name: "depth at the limit", text: nested(MaxDepth), v: new(any), ok: true},
		{name: "depth beyond it", text: nested(MaxDepth + 1), v: new(any), op: strings.Repeat("[0]", MaxDepth)},
		{name: "depth bomb", text: strings.Repeat("[", 1<<20), v: new(any), op: strings.Repeat("[0]", MaxDepth)},
		{name: "recursive type at the limit", text: strings.Repeat(`{"Deep":`, MaxDepth-1) + "{}" + strings.Repeat("}", MaxDepth-1), v: new(everything), ok: true},
		{name: "number at the limit", text: strings.Repeat("1", MaxNumber), v: new(any), ok: true},
		{name: "number beyond it", text: strings.Repeat("1", MaxNumber+1), v: new(any), op: "-"},
	} {
		t.Run(c.name, func(t *testing.T) {
			decode := DecodeStrict
			if c.closed {
				decode = DecodeStrictClosed
			}
			err := decode([]byte(c.text), c.v)
			if c.ok {
				if err != nil {
					t.Error(err)
				}
				return
			}
			checkRefused(t, err, bad{kind: core.Invalid, op: strings.TrimPrefix(c.op, "-")})
		})
	}
}

func manyKeys(n int) string {
	var out []string
	for i := range n {
		out = append(out, `"k`+string(rune('0'+i%10))+strings.Repeat("x", i/10)+`":1`)
	}
	return strings.Join(out, ",")
}

func TestDecodeStrictNeedsAPointer(t *testing.T) {
	for name, v := range map[string]any{"nil": nil, "value": core.TaskSpec{}, "nil pointer": (*core.TaskSpec)(nil)} {
		t.Run(name, func(t *testing.T) {
			if err := DecodeStrict([]byte(`{}`), v); core.KindOf(err) != core.Internal || err == nil {
				t.Errorf("error is %v", err)
			}
		})
	}
}

// Errors quote remote text, but never much of it.
func TestErrorsAreShort(t *testing.T) {
	long := strings.Repeat("x", 10_000)
	for _, text := range []string{`{"` + long + `":1,"` + long + `":2}`, `{"Time":"` + long + `"}`, `{"Tier":"` + long + `"}`, `{"Num":"` + long + `"}`} {
		err := DecodeStrict([]byte(text), new(everything))
		if err == nil || len(err.Error()) > 400 {
			t.Errorf("error of %d bytes for %.20s", len(err.Error()), text)
		}
	}
}
