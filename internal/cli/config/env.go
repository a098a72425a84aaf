package config

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/joho/godotenv"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/nearest"
)

const (
	envPrefix  = "TENZRO_"
	dotEnvFile = ".env"
)

// Names of variables that are not settings of a node.
const (
	EnvConfig = "TENZRO_CONFIG" // the YAML file to read
	EnvAPI    = "TENZRO_API"    // address of the node that client commands talk to
	EnvToken  = "TENZRO_TOKEN"  // bearer token that client commands send
)

// Environment is the variables of the process over those of a .env file.
type Environment struct {
	process map[string]string
	dotEnv  map[string]string
}

// ReadEnvironment takes the process's variables in the form of os.Environ and
// adds dir/.env when that file exists. Variables that are set to nothing count
// as not set, so that a compose file may pass them on empty.
func ReadEnvironment(environ []string, dir string) (Environment, error) {
	e := Environment{process: map[string]string{}, dotEnv: map[string]string{}}
	for _, pair := range environ {
		if name, value, _ := strings.Cut(pair, "="); value != "" {
			e.process[name] = value
		}
	}
	path := filepath.Join(dir, dotEnvFile)
	text, err := readBounded(path)
	if errors.Is(err, fs.ErrNotExist) {
		return e, nil
	}
	if err == nil {
		e.dotEnv, err = godotenv.Unmarshal(string(text))
	}
	if err != nil {
		return e, core.Errorf(core.Invalid, path, "reading %s: %w", path, err).
			WithHint("write one NAME=value per line, or remove the file")
	}
	maps.DeleteFunc(e.dotEnv, func(_, value string) bool { return value == "" })
	return e, nil
}

// Get returns the value of name and where it was set, ok false when nowhere.
func (e Environment) Get(name string) (value, origin string, ok bool) {
	if v, ok := e.process[name]; ok {
		return v, "environment " + name, true
	}
	if v, ok := e.dotEnv[name]; ok {
		return v, dotEnvFile + " " + name, true
	}
	return "", "", false
}

// Check returns an error that joins one for each TENZRO_* name nothing reads.
func (e Environment) Check() error { return errors.Join(e.unknown()...) }

// unknown returns an error for each TENZRO_* name that nothing reads.
func (e Environment) unknown() []error {
	if len(e.process)+len(e.dotEnv) == 0 {
		return nil
	}
	known := []string{EnvConfig, EnvAPI, EnvToken}
	for _, k := range table {
		known = append(known, k.Env())
	}
	var errs []error
	report := func(where string, vars map[string]string) {
		for _, name := range slices.Sorted(maps.Keys(vars)) {
			if strings.HasPrefix(name, envPrefix) && !slices.Contains(known, name) {
				errs = append(errs, core.Errorf(core.Invalid, name, "%s variable %s is unknown%s", where, name, suggestEnv(name, known)).
					WithHint("correct or unset it; `tenzro config show` lists the names"))
			}
		}
	}
	report("environment", e.process)
	report(dotEnvFile, e.dotEnv)
	return errs
}

// suggestEnv compares names without their common prefix, which would make
// every name look near.
func suggestEnv(name string, known []string) string {
	bare := make([]string, len(known))
	for i, k := range known {
		bare[i] = strings.TrimPrefix(k, envPrefix)
	}
	if near, ok := nearest.Word(strings.TrimPrefix(name, envPrefix), bare); ok {
		return "; did you mean " + envPrefix + near + "?"
	}
	return ""
}

// readBounded reads a small regular file; more than maxFileBytes is an error.
func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err == nil && len(b) > maxFileBytes {
		err = errors.New("it is larger than 1 MiB")
	}
	return b, err
}
