package cli

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	ucli "github.com/urfave/cli/v2"
)

func testRoot() *ucli.Command {
	app := (&shell{}).app()
	return &ucli.Command{Name: programName, Subcommands: app.Commands}
}

// TestPermute: wherever flags stand, the parser sees path, flags, "--", rest.
func TestPermute(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"nothing":                    {"", "--"},
		"in order":                   {"task get -o json ID", "task get --o=json -- ID"},
		"flag after the argument":    {"task get ID -o json", "task get --o=json -- ID"},
		"flag before the command":    {"-o json task get ID", "task get --o=json -- ID"},
		"flag inside the path":       {"task -o json get ID", "task get --o=json -- ID"},
		"flags around":               {"task --api x get ID --token y", "task get --api=x --token=y -- ID"},
		"value with =":               {"task get ID --api=http://h:1", "task get --api=http://h:1 -- ID"},
		"one dash, long name":        {"task get -output json ID", "task get --output=json -- ID"},
		"switch takes no value":      {"task result --wait ID", "task result --wait -- ID"},
		"switch with a value":        {"run --mdns=false", "run --mdns=false --"},
		"negative number as value":   {"run --ws-port -1", "run --ws-port=-1 --"},
		"value that looks like flag": {"task submit --input -1,-2 --op sum", "task submit --input=-1,-2 --op=sum --"},
		"repeated flag":              {"run --role a --role b", "run --role=a --role=b --"},
		"dash is an argument":        {"task submit - --wait", "task submit --wait -- -"},
		"end of flags":               {"task get -- -x", "task get -- -x"},
		"value named like a command": {"task list --status get", "task list --status=get --"},
		"argument like a command":    {"task get list", "task get -- list"},
		"help anywhere":              {"task --help get", "task get --help --"},
		"short help":                 {"run -h", "run --h --"},
		"empty value":                {"run --region=", "run --region= --"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := permute(testRoot(), strings.Fields(tt.in))
			if err != nil || strings.Join(got, " ") != tt.want {
				t.Errorf("permute(%q) = %q, error %v, want %q", tt.in, strings.Join(got, " "), err, tt.want)
			}
		})
	}
}

func TestPermuteRefusals(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"unknown flag":              {"task get --nosuch ID", "tenzro task get has no flag --nosuch"},
		"near flag":                 {"task get --tokn x ID", "did you mean --token?"},
		"flag of another command":   {"task get --role x ID", "tenzro task get has no flag --role"},
		"flag of nobody, first":     {"--bogus", "tenzro has no flag --bogus"},
		"value missing at the end":  {"task get ID --api", "flag --api needs a value"},
		"unknown single character":  {"task get -q ID", "has no flag -q"},
		"three dashes are two":      {"task get ---nosuch", "has no flag --nosuch"},
		"flag on a group of others": {"task --wait", "tenzro task has no flag --wait"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := permute(testRoot(), strings.Fields(tt.in))
			var usage *usageError
			if !errors.As(err, &usage) || !strings.Contains(err.Error(), tt.want) || usage.hint == "" {
				t.Errorf("error %v, want a usage error with %q", err, tt.want)
			}
		})
	}
}

// TestFlagsMeanOneThing: permute decides whether a flag takes a value before it
// knows the command, so every command must agree.
func TestFlagsMeanOneThing(t *testing.T) {
	seen := map[string]reflect.Type{}
	var walk func(*ucli.Command)
	walk = func(c *ucli.Command) {
		for _, f := range c.Flags {
			for _, name := range f.Names() {
				if known, ok := seen[name]; ok && (known == reflect.TypeFor[*ucli.BoolFlag]()) != isSwitch(f) {
					t.Errorf("%s: flag %s is a switch in one command and not in another", c.Name, name)
				}
				seen[name] = reflect.TypeOf(f)
			}
		}
		for _, sub := range c.Subcommands {
			walk(sub)
		}
	}
	walk(testRoot())
	if len(seen) < 40 {
		t.Errorf("only %d flags found", len(seen))
	}
}

func FuzzPermute(f *testing.F) {
	f.Add("task\x00get\x00-o\x00json\x00ID")
	f.Add("--\x00-\x00--=\x00-=")
	root := testRoot() // permute only reads the tree; building it costs more than the rest
	all := everyFlag(root)
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, "\x00")
		got, err := permuteWith(all, root, args)
		if err == nil && len(got) == 0 {
			t.Error("neither words nor an error")
		}
	})
}
