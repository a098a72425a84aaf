// Command guest is the program in the image of the tests with a real engine. It tells
// what it was given, and does its worst.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Println("no arguments")
		return
	}
	switch os.Args[1] {
	case "tell":
		_ = json.NewEncoder(os.Stdout).Encode(told())
	case "cat":
		_, _ = io.Copy(os.Stdout, os.Stdin)
		fmt.Fprint(os.Stderr, "copied")
	case "exit":
		code, _ := strconv.Atoi(os.Args[2])
		os.Exit(code)
	case "memory":
		var kept [][]byte
		for {
			piece := make([]byte, 1<<20)
			for i := range piece {
				piece[i] = 1
			}
			kept = append(kept, piece)
		}
	case "fork":
		fork()
	case "sleep":
		time.Sleep(time.Hour)
	case "output":
		for line := []byte(strings.Repeat("x", 1<<16)); ; {
			_, _ = os.Stdout.Write(line)
		}
	case "loop":
		fmt.Println("begun")
		for {
		}
	case "closed":
		os.Stdout.Close()
		os.Stderr.Close()
		for {
		}
	}
}

// told is what a container can see and do, as errors: "" is what it could do.
func told() map[string]string {
	all := map[string]string{
		"uid": strconv.Itoa(os.Getuid()), "gid": strconv.Itoa(os.Getgid()), "pid": strconv.Itoa(os.Getpid()),
		"variable": os.Getenv("GREETING"), "args": strings.Join(os.Args[2:], " "),
	}
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.SplitSeq(string(status), "\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			all[name] = strings.TrimSpace(value)
		}
	}
	limits, _ := os.ReadFile("/proc/self/limits")
	for line := range strings.SplitSeq(string(limits), "\n") {
		if len(line) > 26 {
			all[strings.TrimSpace(line[:26])] = strings.Fields(line[26:])[0]
		}
	}
	links, _ := net.Interfaces()
	for _, l := range links {
		all["interfaces"] += l.Name + " "
	}
	_, err := net.DialTimeout("tcp", "1.1.1.1:80", time.Second)
	all["dial"] = told1(err)
	_, err = net.LookupHost("example.com")
	all["lookup"] = told1(err)
	for _, dir := range []string{"/", "/etc", "/work", "/dev", "/dev/shm", "/proc/sys/kernel", "/data", "/tmp"} {
		all["write "+dir] = told1(os.WriteFile(dir+"/written", []byte("x"), 0o700))
	}
	granted, err := os.ReadFile("/work/data/in.txt")
	all["granted"] = string(granted) + told1(err)
	all["change"] = told1(os.WriteFile("/work/data/in.txt", []byte("x"), 0o600))
	if self, err := os.ReadFile("/guest"); err == nil && os.WriteFile("/tmp/copy", self, 0o700) == nil {
		all["execute /tmp"] = told1(exec.Command("/tmp/copy", "exit", "0").Run())
	}
	if f, err := os.Create("/tmp/big"); err == nil {
		n, err := io.Copy(f, io.LimitReader(zeros{}, 1<<30))
		all["fill /tmp"], all["filled"] = told1(err), strconv.FormatInt(n>>20, 10)
		os.Remove("/tmp/big")
	}
	all["devices"] = names("/dev")
	all["processes"] = names("/proc")
	return all
}

func told1(err error) string {
	if err != nil {
		return err.Error()
	}
	return ""
}

func names(dir string) string {
	entries, _ := os.ReadDir(dir)
	var all []string
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err == nil || dir != "/proc" {
			all = append(all, e.Name())
		}
	}
	return strings.Join(all, " ")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// fork starts processes until no more can be started, and says how many there were.
func fork() {
	for n := 0; ; n++ {
		if err := exec.Command("/guest", "sleep").Start(); err != nil {
			fmt.Print(n)
			fmt.Fprint(os.Stderr, err)
			return
		}
		if n > 10_000 {
			fmt.Print("no end")
			return
		}
	}
}
