// Package cli is the tenzro command line: flags, environment and files in,
// results out.
//
// It holds no behaviour of a node. `run` fills a node.Config and hands it to
// package node; every other command either works on files of the home directory
// or asks a running node over HTTP. It guarantees that flags may stand anywhere
// on the line, that results go to stdout and everything else to stderr, that an
// error says what failed, why, and one thing to do, and that the exit code is one
// of the Exit constants. It is also the only place that configures logging.
//
// One file holds one command or one group of them. main calls Main.
package cli
