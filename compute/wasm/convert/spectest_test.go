package convert_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/tenzro/tenzro/compute/wasm/convert"
)

// script is a test script of the specification as wast2json writes it.
type script struct {
	Source   string    `json:"source_filename"`
	Commands []command `json:"commands"`
}

type command struct {
	Type       string
	Line       int
	Name       string
	Filename   string
	As         string
	ModuleType string `json:"module_type"`
	Text       string
	Action     struct {
		Type, Field, Module string
		Args                []value
	}
	Expected []value
}

// validSince2 are commands of the first suite that version 2.0 of the
// specification turned around: the same module is in its unreached-valid.wast
// ("meet-bottom"), because labels of a br_table that never runs may differ.
func validSince2(script string, c *command) bool {
	return strings.HasSuffix(script, "v1/testdata/unreached-invalid.json") && c.Line == 539
}

// tally counts commands by what became of them.
type tally map[string]int

// world is one engine's side of a script. Both sides run every command, and must
// agree on results, bit by bit, on traps and on the fuel that is left.
type world struct {
	rt     wazero.Runtime
	byName map[string]api.Module
	all    []api.Module
	last   api.Module
}

// specScripts returns the directory of the test suites that wazero keeps.
func specScripts(t *testing.T) string {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	dir := filepath.Join(strings.TrimSpace(string(out)), "internal/integration_test/spectest")
	if _, statErr := os.Stat(filepath.Join(dir, "v2")); err != nil || statErr != nil {
		t.Skipf("the source of wazero is not in the module cache: %v, %v", err, statErr)
	}
	return dir
}

// TestSpecification runs the test suites of WebAssembly 1.0 and 2.0 through the
// conversion and both engines.
func TestSpecification(t *testing.T) {
	dir := specScripts(t)
	host, err := os.ReadFile(filepath.Join(dir, "testdata/spectest.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	for suite, features := range map[string]api.CoreFeatures{"v1": api.CoreFeaturesV1, "v2": api.CoreFeaturesV2} {
		counts := tally{}
		scripts, _ := filepath.Glob(filepath.Join(dir, suite, "testdata/*.json"))
		if least := map[string]int{"v1": 73, "v2": 148}[suite]; len(scripts) < least {
			t.Errorf("%s: %d scripts; there were %d", suite, len(scripts), least)
		}
		for _, path := range scripts {
			t.Run(suite+"/"+strings.TrimSuffix(filepath.Base(path), ".json"), func(t *testing.T) {
				r := &runner{t: t, dir: filepath.Dir(path), counts: counts}
				r.open(host, features)
				r.script(path)
			})
		}
		t.Logf("%s: %d scripts, %v", suite, len(scripts), counts)
	}
}

type runner struct {
	t      *testing.T
	dir    string
	counts tally
	worlds []*world
	ctx    context.Context
}

func (r *runner) open(host []byte, features api.CoreFeatures) {
	r.ctx = context.Background()
	for _, name := range []string{"compiler", "interpreter"} {
		w := &world{rt: wazero.NewRuntimeWithConfig(r.ctx, engines()[name].WithCoreFeatures(features)), byName: map[string]api.Module{}}
		r.t.Cleanup(func() { _ = w.rt.Close(r.ctx) })
		if _, err := w.rt.InstantiateWithConfig(r.ctx, host, wazero.NewModuleConfig().WithName("spectest")); err != nil {
			r.t.Fatal(err)
		}
		r.worlds = append(r.worlds, w)
	}
}

func (r *runner) script(path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	var s script
	if err := json.Unmarshal(text, &s); err != nil {
		r.t.Fatal(err)
	}
	for i := range s.Commands {
		c := &s.Commands[i]
		as := ""
		if i+1 < len(s.Commands) && s.Commands[i+1].Type == "register" {
			as = s.Commands[i+1].As
		}
		if validSince2(path, c) {
			r.counts["turned around by 2.0, left out"]++
			continue
		}
		if err := r.command(c, as); err != nil {
			r.counts["FAILED"]++
			r.t.Errorf("line %d: %s %s: %v", c.Line, c.Type, c.Action.Field, err)
		}
	}
}

func (r *runner) command(c *command, as string) error {
	switch {
	case c.ModuleType == "text": // the conversion reads binaries
		r.counts["text, left out"]++
		return nil
	case c.Type == "register": // done with the module in front of it
		return nil
	}
	r.counts[c.Type]++
	switch c.Type {
	case "module":
		return r.instantiate(c, as)
	case "assert_return", "action", "assert_trap", "assert_exhaustion":
		return r.act(c)
	case "assert_malformed", "assert_invalid":
		return r.refused(c)
	case "assert_unlinkable", "assert_uninstantiable":
		return r.notInstantiated(c)
	}
	return fmt.Errorf("unknown command")
}

// convert allows all memory, because some scripts import what others export and
// state its maximum.
func (r *runner) convert(file string) ([]byte, error) {
	module, err := os.ReadFile(filepath.Join(r.dir, file))
	if err != nil {
		return nil, err
	}
	c, err := convert.Convert(module, convert.Options{MaxPages: convert.MaxPages, MaxTableElements: 1<<32 - 1})
	return c.Code, err
}

func (r *runner) instantiate(c *command, as string) error {
	code, err := r.convert(c.Filename)
	if err != nil {
		return err
	}
	for _, w := range r.worlds {
		if err := w.instantiate(r.ctx, c.Name, as, code); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) instantiate(ctx context.Context, name, as string, code []byte) error {
	m, err := w.rt.InstantiateWithConfig(ctx, code, wazero.NewModuleConfig().WithName(as).WithStartFunctions())
	if err != nil {
		return err
	}
	w.last = m
	if w.all = append(w.all, m); name != "" {
		w.byName[name] = m
	}
	w.refuel()
	if f := m.ExportedFunction(convert.StartExport); f != nil {
		_, err = f.Call(ctx)
	}
	return err
}

func (w *world) refuel() {
	for _, m := range w.all {
		guest{Module: m}.refuel(plenty)
	}
}

// notInstantiated wants an error from the conversion, the engine or the start
// function. wazero keeps an instance whose element segment did not fit.
func (r *runner) notInstantiated(c *command) error {
	code, err := r.convert(c.Filename)
	if err != nil {
		return nil
	}
	for _, w := range r.worlds {
		last := w.last
		err := w.instantiate(r.ctx, "", "", code)
		w.last = last
		if kept := c.Text == "out of bounds table access"; kept != (err == nil) {
			return fmt.Errorf("instantiating gave %v, want %q", err, c.Text)
		}
	}
	return nil
}

// refused wants an error from the conversion. What became valid with 2.0 is left
// to the engine, which runs the first suite with the features of 1.0.
func (r *runner) refused(c *command) error {
	code, err := r.convert(c.Filename)
	if err != nil {
		return nil
	}
	r.counts["valid in 2.0, refused by the engine"]++
	for _, w := range r.worlds {
		if _, err := w.rt.CompileModule(r.ctx, code); err == nil {
			return fmt.Errorf("%s was accepted, want %q", c.Filename, c.Text)
		}
	}
	return nil
}

// outcome is what one engine made of an action.
type outcome struct {
	results []uint64
	trap    string
	fuel    []int64 // what is left in each instance
	stop    convert.Stop
}

func (r *runner) act(c *command) error {
	var seen []outcome
	for _, w := range r.worlds {
		o, err := w.act(r.ctx, c)
		if err != nil {
			return err
		}
		if err := o.check(c); err != nil {
			return err
		}
		seen = append(seen, o)
	}
	a, b := seen[0], seen[1]
	switch {
	case a.trap != b.trap || a.stop != b.stop:
		return fmt.Errorf("the compiler traps with %q %s, the interpreter with %q %s", a.trap, a.stop, b.trap, b.stop)
	case !slices.Equal(a.results, b.results) && !hasReference(c.Expected):
		return fmt.Errorf("the compiler returns %x, the interpreter %x", a.results, b.results)
	case !slices.Equal(a.fuel, b.fuel):
		return fmt.Errorf("the compiler leaves %d fuel, the interpreter %d", a.fuel, b.fuel)
	}
	return nil
}

func (w *world) act(ctx context.Context, c *command) (o outcome, err error) {
	m := w.last
	if c.Action.Module != "" {
		m = w.byName[c.Action.Module]
	}
	if c.Action.Type == "get" {
		return outcome{results: []uint64{m.ExportedGlobal(c.Action.Field).Get()}}, nil
	}
	w.refuel()
	var args []uint64
	for _, a := range c.Action.Args {
		args = append(args, a.words()...)
	}
	o.results, err = m.ExportedFunction(c.Action.Field).Call(ctx, args...)
	if err != nil {
		o.trap, _, _ = strings.Cut(err.Error(), "\n")
	}
	clean(m.ExportedFunction(c.Action.Field), o.results)
	for _, m := range w.all {
		g := guest{Module: m}
		o.fuel = append(o.fuel, g.fuel())
		if o.stop == convert.StopTrap {
			o.stop = convert.StopOf(g.fuel(), g.stack())
		}
		if err == nil && g.stack() != convert.StackBudget {
			return o, fmt.Errorf("the stack is at %d after a call", g.stack())
		}
	}
	return o, nil
}

// check compares with what the script expects.
func (o outcome) check(c *command) error {
	switch c.Type {
	case "assert_trap":
		if want := trapText(c.Text); o.stop != convert.StopTrap || !strings.Contains(o.trap, want) {
			return fmt.Errorf("trap is %q %s, want %q", o.trap, o.stop, want)
		}
	case "assert_exhaustion":
		if o.trap == "" || o.stop != convert.StopStack {
			return fmt.Errorf("trap is %q %s, want %s", o.trap, o.stop, convert.StopStack)
		}
	default:
		if o.trap != "" {
			return fmt.Errorf("trap %q %s", o.trap, o.stop)
		}
		return match(c.Expected, o.results)
	}
	return nil
}

// trapText translates the specification's words for a trap to wazero's.
func trapText(text string) string {
	switch {
	case text == "indirect call type mismatch" || text == "indirect call":
		return "indirect call type mismatch"
	case strings.HasPrefix(text, "undefined"), strings.HasPrefix(text, "uninitialized"), text == "out of bounds table access":
		return "invalid table access"
	}
	return text
}
