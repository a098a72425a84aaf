// Command wasi is the guest of the WASI tests: its first argument says what to do.
// It uses what a program usually uses, so that what it is given is seen from a
// program's side, not the host's.
package main

import (
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"sort"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		os.Exit(64)
	}
	tests := map[string]func(args []string) error{
		"args": args, "env": env, "stdin": stdin, "read": read, "write": write, "list": list, "rename": rename,
		"clock": clock, "random": random, "dial": dial, "panic": boom, "exit": exit, "escape": escape, "append": appendTo, "clean": clean,
	}
	if err := tests[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func args(args []string) error {
	fmt.Printf("%d %q\n", len(args), args)
	return nil
}

func env([]string) error {
	all := os.Environ()
	sort.Strings(all)
	fmt.Println(strings.Join(all, ","))
	return nil
}

func stdin([]string) error {
	b, err := io.ReadAll(os.Stdin)
	fmt.Print(strings.ToUpper(string(b)))
	return err
}

func read(names []string) error {
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		fmt.Printf("%s=%s\n", name, b)
	}
	return nil
}

func write(names []string) error {
	for _, name := range names {
		if i := strings.LastIndexByte(name, '/'); i > 0 {
			if err := os.MkdirAll(name[:i], 0o755); err != nil {
				return err
			}
		}
		if err := os.WriteFile(name, []byte("made "+name), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func list([]string) error {
	return fs.WalkDir(os.DirFS("/"), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			fmt.Printf("%s %v %d\n", path, d.IsDir(), info.Size())
		}
		return err
	})
}

func rename([]string) error {
	for _, do := range []func() error{
		func() error { return write([]string{"/a/one", "/two", "/tmp/gone"}) },
		func() error { return os.Rename("/a/one", "/three") },
		func() error { return os.Rename("/two", "/a/two") },
		func() error { return os.Rename("/a", "/b") },
		func() error { return os.Remove("/tmp/gone") },
		func() error { return os.Remove("/tmp") },
		func() error { return os.Truncate("/three", 4) },
	} {
		if err := do(); err != nil {
			return err
		}
	}
	return list(nil)
}

func appendTo([]string) error {
	f, err := os.OpenFile("/log", os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	for _, line := range []string{"one\n", "two\n"} {
		if _, err := f.WriteString(line); err != nil {
			return err
		}
	}
	if _, err := f.Seek(4, io.SeekStart); err != nil {
		return err
	}
	rest, err := io.ReadAll(f)
	fmt.Printf("%s", rest)
	return err
}

func clock([]string) error {
	begin := time.Now()
	time.Sleep(100 * time.Millisecond)
	fmt.Println(begin.UTC().Format(time.RFC3339), time.Since(begin) > 0)
	return nil
}

func random([]string) error {
	fmt.Println(rand.Uint64()) // seeded by the host's randomness
	return nil
}

// dial tries to have a network.
func dial([]string) error {
	if _, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0); err == nil {
		return fmt.Errorf("there is a network")
	}
	return nil
}

func boom([]string) error { panic("boom") }

func exit([]string) error {
	os.Exit(42)
	return nil
}

// escape tries to reach what was not given.
func escape([]string) error {
	for _, name := range []string{"/etc/passwd", "../../etc/passwd", "/../etc/passwd", "/proc/self/environ", "/dev/null"} {
		if _, err := os.ReadFile(name); err == nil {
			return fmt.Errorf("%s can be read", name)
		}
	}
	return os.Symlink("/etc", "/link")
}

// clean tries to change what was given to be read.
func clean([]string) error {
	for what, do := range map[string]func() error{
		"write":  func() error { return os.WriteFile("/data/in.txt", nil, 0o644) },
		"remove": func() error { return os.Remove("/data/in.txt") },
		"rename": func() error { return os.Rename("/data/in.txt", "/mine") },
		"over": func() error {
			if err := os.WriteFile("/mine", nil, 0o644); err != nil {
				return nil
			}
			return os.Rename("/mine", "/data/in.txt")
		},
		"rmdir": func() error { return os.RemoveAll("/data") },
	} {
		if do() == nil {
			return fmt.Errorf("%s succeeds", what)
		}
	}
	return nil
}
