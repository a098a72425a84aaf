package cli

import (
	"slices"
	"strings"

	ucli "github.com/urfave/cli/v2"

	"github.com/tenzro/tenzro/internal/nearest"
)

// permute brings args (without the program's name) into the only order the
// parser understands: command path, flags, "--", the rest. It is what lets
// `tenzro task get ID -o json` and `tenzro -o json task get ID` mean the same.
// A flag takes the next argument as its value whatever that looks like; "--"
// ends the flags; "-" is an argument.
func permute(root *ucli.Command, args []string) ([]string, error) {
	return permuteWith(everyFlag(root), root, args)
}

// permuteWith is permute for a tree whose flags, all of everyFlag, are known.
func permuteWith(all map[string]ucli.Flag, root *ucli.Command, args []string) ([]string, error) {
	path, words := []*ucli.Command{root}, []string{}
	positional, flags := []string{}, []string{}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			positional = append(positional, args[i+1:]...)
			i = len(args)
		case len(arg) > 1 && arg[0] == '-':
			taken, used, err := takeFlag(all, args[i:])
			if err != nil {
				return nil, err
			}
			flags = append(flags, taken)
			i += used
		case len(positional) == 0 && path[len(path)-1].Command(arg) != nil:
			next := path[len(path)-1].Command(arg)
			path, words = append(path, next), append(words, next.Name)
		default:
			positional = append(positional, arg)
		}
	}
	if err := belong(path[len(path)-1], words, flags); err != nil {
		return nil, err
	}
	return slices.Concat(words, flags, []string{"--"}, positional), nil
}

// takeFlag returns the flag at the head of args as one "--name=value" word and
// how many further arguments it used. A flag no command has is kept as it is:
// belong refuses it with a message about the command it was given to.
func takeFlag(all map[string]ucli.Flag, args []string) (word string, used int, err error) {
	name, value, hasValue := strings.Cut(strings.TrimLeft(args[0], "-"), "=")
	flag, known := all[name]
	switch {
	case hasValue:
		return "--" + name + "=" + value, 0, nil
	case !known || isSwitch(flag):
		return "--" + name, 0, nil
	case len(args) < 2:
		return "", 0, usagef("give it one, for example "+args[0]+"=VALUE", "flag %s needs a value", args[0])
	}
	return "--" + name + "=" + args[1], 1, nil
}

// belong refuses flags that the command does not have.
func belong(cmd *ucli.Command, words, flags []string) error {
	var names []string
	for _, f := range append(cmd.Flags, ucli.HelpFlag) {
		names = append(names, f.Names()...)
	}
	full := strings.Join(append([]string{programName}, words...), " ")
	for _, f := range flags {
		name, _, _ := strings.Cut(strings.TrimLeft(f, "-"), "=")
		if slices.Contains(names, name) {
			continue
		}
		return usagef("see "+full+" --help", "%s has no flag %s%s", full, dashed(name), suggestFlag(name, names))
	}
	return nil
}

func suggestFlag(name string, names []string) string {
	if near, ok := nearest.Word(name, names); ok {
		return "; did you mean " + dashed(near) + "?"
	}
	return ""
}

func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// everyFlag collects the flags of all commands by name: whether a flag takes a
// value must be known before its command is.
func everyFlag(cmd *ucli.Command) map[string]ucli.Flag {
	all := map[string]ucli.Flag{}
	for _, f := range append(cmd.Flags, ucli.HelpFlag) {
		for _, name := range f.Names() {
			all[name] = f
		}
	}
	for _, sub := range cmd.Subcommands {
		for name, f := range everyFlag(sub) {
			all[name] = f
		}
	}
	return all
}

func isSwitch(f ucli.Flag) bool {
	_, ok := f.(*ucli.BoolFlag)
	return ok
}
