package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	ucli "github.com/urfave/cli/v2"

	"github.com/tenzro/tenzro/core"
)

const submitHelp = `FILE holds a task as JSON; "-" reads it from standard input. Without FILE the
flags describe a task of type compute:

   tenzro task submit --op square --op sum --input 1,2,3,4,5 --wait

or, with --type and --data, one of any other type:

   tenzro task submit --type benchmark --data '{"workload":"hash"}' --wait
   tenzro task submit --type vsa --data @record.json --wait
   tenzro task submit --type vsa_evolution --data @exemplars.json --parallelism 4
   tenzro task submit --type map --data @rows.json --parallelism 16

The types are compute, map, vsa, vsa_evolution, wasm, container and benchmark;
"tenzro wasm run" and "tenzro container run" are the short ways to run a program.

Prints the task's id, or with --wait its result.`

func (s *shell) taskSubmitCommand() *ucli.Command {
	return &ucli.Command{
		Name: "submit", Usage: "hand in a task", ArgsUsage: "[FILE|-]", Description: submitHelp, Action: s.taskSubmit,
		Flags: nodeFlags(append(specFlags(), append(waitFlags(), reuseFlag(), outputFlag())...)...),
	}
}

const flagReuse = "reuse"

func reuseFlag() ucli.Flag {
	return &ucli.BoolFlag{Name: flagReuse, Usage: "take the result of your earlier task of exactly this content, if there is one that did not fail"}
}

func specFlags() []ucli.Flag {
	return []ucli.Flag{
		&ucli.StringFlag{Name: "type", Usage: "engine that runs the task, as its `TYPE`", Value: "compute"},
		&ucli.StringSliceFlag{Name: "op", Usage: "`OPERATION` to apply, in order: a name, or JSON such as '{\"op\":\"clamp\",\"min\":0,\"max\":1}' (repeat)"},
		&ucli.StringFlag{Name: "input", Usage: "`NUMBERS` separated by commas, or @FILE with JSON (@- for standard input)"},
		&ucli.StringFlag{Name: "data", Usage: "`JSON` data of a task of any type, or @FILE (@- for standard input), instead of --op and --input"},
		&ucli.StringFlag{Name: "min-tier", Usage: "lowest `TIER` of worker: inference, aggregator or trainer"},
		&ucli.IntFlag{Name: "cpu", Usage: "`PERCENT` of one worker's CPU that the task needs"},
		&ucli.Int64Flag{Name: "memory-mb", Usage: "memory in `MIB` that the task needs"},
		&ucli.IntFlag{Name: "parallelism", Usage: "`N` subtasks at least, if the input allows"},
		&ucli.DurationFlag{Name: "queue-timeout", Usage: "`TIME` the task may wait for a capable worker", DefaultText: "30s"},
		&ucli.DurationFlag{Name: flagTimeout, Usage: "`TIME` the whole task may take", DefaultText: "10m"},
		&ucli.TimestampFlag{Name: "deadline", Usage: "`WHEN` the task expires, instead of --timeout, for example 2026-12-31T18:00:00Z", Layout: time.RFC3339},
		&ucli.IntFlag{Name: "priority", Usage: "`N` from -10 to 10: which of your own waiting tasks is first"},
		&ucli.StringFlag{Name: "max-price", Usage: "the most `UNITS` that a worker may ask for a million operations"},
	}
}

func (s *shell) taskSubmit(c *ucli.Context) error {
	if _, err := asJSON(c); err != nil {
		return err
	}
	spec, err := s.taskSpec(c)
	if err != nil {
		return err
	}
	cl, err := s.connect(c)
	if err != nil {
		return err
	}
	status, err := cl.Submit(c.Context, spec, c.Bool(flagReuse))
	if err != nil {
		return err
	}
	if c.Bool(flagWait) {
		fmt.Fprintf(s.Err, "task %s submitted\n", clean(string(status.TaskID)))
		return s.awaitResult(c, cl, status.TaskID)
	}
	if wantJSON, _ := asJSON(c); wantJSON {
		return showValue(s, c, status, drawTask)
	}
	fmt.Fprintf(s.Err, "submitted; get the result with: tenzro task result --wait %s\n", clean(string(status.TaskID)))
	_, err = fmt.Fprintln(s.Out, clean(string(status.TaskID)))
	return err
}

// taskSpec returns the task in its JSON form, from a file or from flags.
func (s *shell) taskSpec(c *ucli.Context) ([]byte, error) {
	var given []string
	for _, f := range specFlags() {
		if name := f.Names()[0]; c.IsSet(name) {
			given = append(given, "--"+name)
		}
	}
	switch {
	case c.Args().Len() > 1:
		return nil, usagef("submit one task at a time", "argument %q is one too many", c.Args().Get(1))
	case c.Args().Present() && len(given) > 0:
		return nil, usagef("put it into the file, or leave the file out", "%s cannot be combined with a task file", given[0])
	case c.Args().Present():
		return s.specFromFile(c.Args().First())
	case len(given) == 0:
		return nil, usagef("give a file, - for standard input, or flags such as --op sum --input 1,2,3", "there is no task to submit")
	}
	return s.specFromFlags(c)
}

// specFromFile passes on what the file says, so that the node is the only judge
// of it; only what is not JSON at all is refused here.
func (s *shell) specFromFile(name string) ([]byte, error) {
	text, err := s.readInput(name, taskInput())
	if err != nil {
		return nil, err
	}
	if !json.Valid(text) {
		return nil, core.Errorf(core.Invalid, "FILE", "%s is not JSON", inputName(name)).
			WithHint(`write for example {"type":"compute","data":{"input":[1,2,3],"operations":["sum"]}}`)
	}
	return text, nil
}

// vectorData is the data of a task of type compute.
type vectorData struct {
	Input      json.RawMessage   `json:"input"`
	Operations []json.RawMessage `json:"operations"`
}

func (s *shell) specFromFlags(c *ucli.Context) ([]byte, error) {
	spec := core.TaskSpec{
		Type:         core.TaskType(c.String("type")),
		Requirements: core.Requirements{CPU: c.Int("cpu"), MemoryMB: c.Int64("memory-mb")},
		Parallelism:  c.Int("parallelism"),
		Priority:     c.Int("priority"),
	}
	var err error
	if spec.QueueTimeoutMS, err = milliseconds(c, "queue-timeout"); err != nil {
		return nil, err
	}
	if spec.TimeoutMS, err = milliseconds(c, flagTimeout); err != nil {
		return nil, err
	}
	if at := c.Timestamp("deadline"); at != nil {
		spec.Deadline = at.UTC()
	}
	if price := c.String("max-price"); price != "" {
		if err := spec.Requirements.MaxPrice.UnmarshalText([]byte(price)); err != nil {
			return nil, usagef("write digits, for example 250", "--max-price: %v", err)
		}
	}
	if err := spec.Requirements.MinTier.UnmarshalText([]byte(c.String("min-tier"))); err != nil {
		return nil, usagef("use inference, aggregator or trainer", "--min-tier: %v", err)
	}
	if spec.Data, err = s.taskData(c); err != nil {
		return nil, err
	}
	if err = spec.Validate(); err != nil {
		return nil, usagef("correct the flag; tenzro task submit --help lists them", "%v", err)
	}
	return json.Marshal(spec)
}

// milliseconds is the time that a flag gives, 0 without it. A time below 1 ms is
// refused: in whole milliseconds it would be 0, which stands for the default.
func milliseconds(c *ucli.Context, flag string) (int64, error) {
	d := c.Duration(flag)
	if c.IsSet(flag) && d < time.Millisecond {
		return 0, usagef("write for example --"+flag+" 30s, or leave it out", "--%s is %s; it must be 1ms at least", flag, d)
	}
	return d.Milliseconds(), nil
}

// taskData is what --data says, or the pipeline of --op and --input.
func (s *shell) taskData(c *ucli.Context) (json.RawMessage, error) {
	if c.IsSet("data") {
		if c.IsSet("op") || c.IsSet("input") {
			return nil, usagef("put everything into --data", "--op and --input cannot be combined with --data")
		}
		return s.jsonValue("data", c.String("data"))
	}
	if kind := c.String("type"); kind != "compute" {
		return nil, usagef("give the data with --data, or the whole task in a file", "a task of type %.40q has no --op and --input", kind)
	}
	data := vectorData{Operations: []json.RawMessage{}}
	for _, op := range c.StringSlice("op") {
		one, err := operation(op)
		if err != nil {
			return nil, err
		}
		data.Operations = append(data.Operations, one)
	}
	var err error
	if data.Input, err = s.inputValues(c.String("input")); err != nil {
		return nil, err
	}
	return json.Marshal(data)
}

// jsonValue returns the JSON of a flag or of the @FILE it names.
func (s *shell) jsonValue(flag, text string) (json.RawMessage, error) {
	value, from := []byte(text), "--"+flag
	if name, isFile := strings.CutPrefix(text, "@"); isFile {
		var err error
		if value, err = s.readInput(name, taskInput()); err != nil {
			return nil, err
		}
		from = inputName(name)
	}
	if !json.Valid(value) {
		return nil, core.Errorf(core.Invalid, "--"+flag, "%s is not JSON", from).WithHint(`write for example --data '{"workload":"hash"}'`)
	}
	return value, nil
}

// operation accepts a plain name or a JSON object with parameters.
func operation(text string) (json.RawMessage, error) {
	text = strings.TrimSpace(text)
	if !strings.HasPrefix(text, "{") {
		return json.Marshal(text)
	}
	if !json.Valid([]byte(text)) {
		return nil, usagef(`write it as '{"op":"clamp","min":0,"max":1}'`, "--op %.60q is not JSON", text)
	}
	return json.RawMessage(text), nil
}

// inputValues returns the input as a JSON list. Numbers keep their own text, so
// that integers stay exact.
func (s *shell) inputValues(text string) (json.RawMessage, error) {
	if name, isFile := strings.CutPrefix(text, "@"); isFile {
		value, err := s.readInput(name, taskInput())
		if err == nil && !json.Valid(value) {
			err = core.Errorf(core.Invalid, "--input", "%s is not JSON", inputName(name)).WithHint("write a JSON list such as [1,2,3]")
		}
		return value, err
	}
	var numbers []json.RawMessage
	for word := range strings.SplitSeq(text, ",") {
		word = strings.TrimSpace(word)
		if word == "" && text == "" {
			break
		}
		if !isNumber(word) {
			return nil, usagef("write for example --input 1,2.5,-3", "--input: %.40q is not a number", word)
		}
		numbers = append(numbers, json.RawMessage(word))
	}
	if numbers == nil {
		return nil, usagef("write for example --input 1,2,3", "--input is missing")
	}
	return json.Marshal(numbers)
}

// isNumber reports whether word is a JSON number.
func isNumber(word string) bool {
	return word != "" && strings.Trim(word, "+-.0123456789eE") == "" && json.Valid([]byte(word))
}

func compact(text []byte) []byte {
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		return text
	}
	return b.Bytes()
}
