// Command tenzro joins this machine to a network that computes, and gives it
// work. It holds nothing itself: package internal/cli is the program. It
// guarantees only that the exit code is what that package returns.
package main

import (
	"os"

	"github.com/tenzro/tenzro/internal/cli"
)

//archtest:constant
var version string // set by the linker: -ldflags "-X main.version=v1.2.3"

func main() {
	dir, _ := os.Getwd() // without one there is no .env to read
	os.Exit(cli.Main(cli.Process{Args: os.Args, Environ: os.Environ(), Dir: dir,
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Version: version}))
}
