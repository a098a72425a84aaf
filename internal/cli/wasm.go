package cli

import (
	"encoding/hex"
	"fmt"
	"os"

	ucli "github.com/urfave/cli/v2"

	"github.com/tenzro/tenzro/compute/wasm"
	"github.com/tenzro/tenzro/compute/wasm/convert"
	"github.com/tenzro/tenzro/core"
)

const wasmConvertHelp = `Validates a WebAssembly module and writes the form in which nodes run it: metered,
its stack bounded, NaNs canonical. The same module gives the same bytes on every
machine. Prints what matters for running it; an invalid module is an error that
says where.`

const wasmRunHelp = `FILE is a WebAssembly module. A WASI program (one that exports _start) gets what
follows as its arguments; with --function the arguments are numbers for that
export. Standard input is passed on unless it is a terminal:

   tenzro wasm run wc.wasm -- -l < words.txt
   tenzro wasm run --function add sum.wasm 1 2

Standard output and error are those of the program, shown as it writes them, and so
is the exit code. Flags of the program stand behind "--".`

const (
	flagOut      = "out"
	flagFunction = "function"
	flagEnv      = "env"
	flagFile     = "file"
	flagFuel     = "fuel"
	flagMemory   = "memory"
	flagTimeout  = "timeout"
	flagLocal    = "local"
	flagDir      = "dir"
)

func (s *shell) wasmCommand() *ucli.Command {
	return &ucli.Command{Name: "wasm", Usage: "convert WebAssembly programs and run them", Subcommands: []*ucli.Command{
		{Name: "convert", Usage: "validate a module and write its metered form", ArgsUsage: "FILE|-", Description: wasmConvertHelp,
			Flags:  []ucli.Flag{&ucli.StringFlag{Name: flagOut, Aliases: []string{"o"}, Usage: "`FILE` to write; - is standard output; without it nothing is written"}},
			Action: s.wasmConvert},
		{Name: "run", Usage: "run a program on the network, or in this machine's sandbox", ArgsUsage: "FILE [ARGS...]", Description: wasmRunHelp,
			Flags: nodeFlags(
				&ucli.StringFlag{Name: flagFunction, Usage: "`NAME` of the export to call", Value: wasm.StartFunction},
				&ucli.StringSliceFlag{Name: flagEnv, Usage: "`NAME=VALUE` the program finds in its environment (repeat)"},
				&ucli.StringSliceFlag{Name: flagFile, Usage: "`NAME=PATH` of a file the program may read as /NAME; PATH alone keeps its name (repeat)"},
				&ucli.StringFlag{Name: flagDir, Usage: "`DIR` that files left by the program are written to; without it they are only named"},
				&ucli.Int64Flag{Name: flagFuel, Usage: "`UNITS` of fuel; a unit is about a third of a nanosecond", Value: wasm.DefaultFuel},
				&ucli.Int64Flag{Name: flagMemory, Usage: "memory of the program in `MIB`", Value: wasm.DefaultMemoryMB},
				&ucli.DurationFlag{Name: flagTimeout, Usage: "`TIME` the program may take", DefaultText: "10m"},
				reuseFlag(),
				&ucli.BoolFlag{Name: flagLocal, Usage: "run in this machine's sandbox and ask no node"},
			), Action: s.wasmRun},
	}}
}

// wasmConvert is the documented conversion: what nodes do to a module before they
// run it, for people to look at.
func (s *shell) wasmConvert(c *ucli.Context) error {
	args, err := arguments(c, "FILE|-")
	if err != nil {
		return err
	}
	module, err := s.readModule(args[0])
	if err != nil {
		return err
	}
	done, err := convert.Convert(module, convert.Options{MaxPages: convert.MaxPages})
	if err != nil {
		return err
	}
	to := c.String(flagOut)
	if to == "-" {
		_, err = s.Out.Write(done.Code)
		return err
	}
	if to != "" {
		if err := os.WriteFile(s.path(to), done.Code, 0o644); err != nil {
			return core.Errorf(core.Unavailable, "--out", "writing the converted module: %w", err).WithHint("name a file you may write")
		}
	}
	return s.printGrid(drawConverted(len(module), done))
}

func drawConverted(size int, done convert.Converted) grid {
	var g grid
	g.add("conversion", fmt.Sprintf("version %d", done.Info.Version))
	g.add("module", fmt.Sprintf("%d bytes, sha256 %s", size, hex.EncodeToString(done.Info.Input[:])))
	g.add("converted", fmt.Sprintf("%d bytes, sha256 %s", len(done.Code), hex.EncodeToString(done.Info.Output[:])))
	g.add("code", fmt.Sprintf("%d functions, %d instructions", done.Info.Functions, done.Info.Instructions))
	if m := done.Info.Memory; m != nil {
		g.add("memory", fmt.Sprintf("begins with %d KiB", uint64(m.Min)*64))
	}
	for _, im := range done.Info.Imports {
		g.add("import", fmt.Sprintf("%s %s.%s%s", im.Kind, im.Module, im.Name, signature(im.Func)))
	}
	for _, ex := range done.Info.Exports {
		g.add("export", fmt.Sprintf("%s %s%s", ex.Kind, ex.Name, signature(ex.Func)))
	}
	return g
}

func signature(f *convert.FuncType) string {
	if f == nil {
		return ""
	}
	return fmt.Sprintf(" %v -> %v", f.Params, f.Results)
}

// readModule reads a module, or standard input for "-".
func (s *shell) readModule(name string) ([]byte, error) {
	return s.readInput(name, input{"FILE", "module", convert.MaxInput, "strip debug information"})
}
