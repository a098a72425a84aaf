// Package config turns what a person set on the command line, in TENZRO_*
// environment variables, in a .env file and in a YAML file into one node.Config,
// and remembers where each value came from.
//
// One table (Keys) is the only list of settings: flags, variables, the file's
// keys, `config show`, the template that `init` writes, .env.example and the
// reference in docs/configuration.md are all made from it.
//
// It guarantees that the order is flag > TENZRO_* variable > LOG_LEVEL > the
// same in .env > file > default, that a key or TENZRO_* name nobody reads is an
// error with a suggestion, and that every error names the place where the value
// was set. It opens no socket, writes no file and knows nothing of nodes that
// run; the commands in internal/cli call it once at their start.
package config
