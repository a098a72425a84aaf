package wasm

import (
	"context"
	"fmt"
	"slices"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/tenzro/tenzro/compute/wasm/convert"
	"github.com/tenzro/tenzro/compute/wasm/isa"
	"github.com/tenzro/tenzro/core"
)

// hostModule is the only module a guest can import from.
const hostModule = wasi_snapshot_preview1.ModuleName

// maxDescriptor is the highest file descriptor a guest may give a file.
const maxDescriptor = 4096

// What calls into the host cost, in fuel (docs/spec/wasm-result.md): so much each,
// and so much for what has a length. Bytes that are read and written are charged
// where they move, in stdio and memory files.
const (
	costHostCall = 200
	costPath     = 2000 // a call that looks for a file
)

// hostCost is what a call costs for a parameter that is a length: units for each.
type hostCost struct {
	base   int64
	length int // index of the parameter, -1 for none
	units  int64
}

func hostCostOf(name string) hostCost {
	switch name {
	case "fd_read", "fd_write", "fd_pread", "fd_pwrite":
		return hostCost{costHostCall, 2, 4} // vectors
	case "poll_oneoff":
		return hostCost{costHostCall, 2, 50} // subscriptions
	case "fd_readdir":
		return hostCost{costPath, 2, 1}
	case "fd_prestat_dir_name":
		return hostCost{costHostCall, 2, 1}
	case "path_open", "path_filestat_get", "path_filestat_set_times":
		return hostCost{costPath, 3, 1}
	case "path_create_directory", "path_remove_directory", "path_unlink_file", "path_readlink", "path_symlink":
		return hostCost{costPath, 2, 1}
	case "path_link", "path_rename":
		return hostCost{costPath, 2, 2}
	}
	return hostCost{costHostCall, -1, 0}
}

// runKey finds the run in the context of a call.
type runKey struct{}

// instantiateHost makes WASI available in rt, each of its functions charged before
// it does anything.
func instantiateHost(ctx context.Context, rt wazero.Runtime) (api.Closer, error) {
	ctx = experimental.WithFunctionListenerFactory(ctx, experimental.FunctionListenerFactoryFunc(listener))
	return wasi_snapshot_preview1.Instantiate(ctx, rt)
}

func listener(def api.FunctionDefinition) experimental.FunctionListener {
	cost := hostCostOf(def.Name())
	renumber := def.Name() == "fd_renumber"
	words := def.Name() == "args_get" || def.Name() == "environ_get"
	return experimental.FunctionListenerFunc(func(ctx context.Context, _ api.Module, _ api.FunctionDefinition, params []uint64, _ experimental.StackIterator) {
		r, ok := ctx.Value(runKey{}).(*run)
		if !ok {
			return
		}
		units := cost.base
		if cost.length >= 0 && cost.length < len(params) {
			units += cost.units * int64(uint32(params[cost.length]))
		}
		if words {
			units += r.words
		}
		r.charge(units)
		if renumber && len(params) > 1 && uint32(params[1]) > maxDescriptor {
			r.stop(fmt.Errorf("fd_renumber: a descriptor above %d", maxDescriptor))
		}
	})
}

// checkImports refuses a module that wants anything but functions of WASI with
// their own signatures.
func checkImports(info convert.Info, host api.Module) error {
	known := host.ExportedFunctionDefinitions()
	for _, im := range info.Imports {
		what := fmt.Sprintf("the module imports the %s %.80q from %.80q", im.Kind, im.Name, im.Module)
		def, ok := known[im.Name]
		switch {
		case im.Module != hostModule || im.Kind != convert.ExternFunc || !ok:
			return failed(core.ReasonInvalidModule, "%s, which no program is given; there are the functions of %s", what, hostModule)
		case !sameTypes(im.Func.Params, def.ParamTypes()) || !sameTypes(im.Func.Results, def.ResultTypes()):
			return failed(core.ReasonInvalidModule, "%s with a signature that it does not have", what)
		case info.Memory == nil && usesMemory(im.Name): // the host would look for it
			return failed(core.ReasonInvalidModule, "%s and has no memory", what)
		}
	}
	return nil
}

// usesMemory reports whether a function of WASI reads or writes the memory of who
// calls it.
func usesMemory(name string) bool {
	return name != "proc_exit" && name != "proc_raise" && name != "sched_yield"
}

func sameTypes(own []isa.ValueType, theirs []api.ValueType) bool {
	return slices.EqualFunc(own, theirs, func(a isa.ValueType, b api.ValueType) bool { return byte(a) == b })
}

func failed(reason core.Reason, format string, args ...any) error {
	return &core.Failure{Reason: reason, Message: fmt.Sprintf(format, args...)}
}
