package config

import (
	"fmt"
	"strings"
	"time"
)

// wrapAt is the width of comments in the files that are written.
const wrapAt = 78

// Template returns the commented file that `tenzro init` writes: every key with
// its meaning, all of them commented out, so that defaults stay defaults.
func Template() string {
	var b strings.Builder
	b.WriteString("# Configuration of a tenzro node. Every key is optional; the value shown is the\n" +
		"# default. Flags, TENZRO_* variables and a .env file win over this file.\n")
	section := ""
	for _, k := range Keys() {
		if k.NoFile {
			continue
		}
		head, name, nested := strings.Cut(k.Path, delim)
		if !nested {
			head, name = "", k.Path
		}
		if head != section {
			fmt.Fprintf(&b, "\n%s:\n", head)
			section = head
		}
		writeTemplateKey(&b, k, name, nested)
	}
	return b.String()
}

func writeTemplateKey(b *strings.Builder, k Key, name string, nested bool) {
	indent := ""
	if nested {
		indent = "  "
	} else {
		b.WriteString("\n")
	}
	for _, line := range wrap(k.Doc, wrapAt-len(indent)-2) {
		fmt.Fprintf(b, "%s# %s\n", indent, line)
	}
	fmt.Fprintf(b, "%s#%s: %s\n", indent, name, yamlDefault(k))
}

func yamlDefault(k Key) string {
	switch {
	case k.IsList():
		return "[" + k.Default + "]"
	case k.Default == "":
		return `""`
	}
	return k.Default
}

// EnvExample returns .env.example: every variable with its meaning.
func EnvExample() string {
	var b strings.Builder
	b.WriteString("# Environment of a tenzro node: copy to .env in the directory it is started from\n" +
		"# and uncomment what should differ from the default shown. Real environment\n" +
		"# variables and flags win over this file. Keep secrets readable by you alone.\n")
	for _, k := range Keys() {
		writeEnv(&b, k.Env(), k.Doc, k.Default)
	}
	writeEnv(&b, "LOG_LEVEL", "same as TENZRO_LOG_LEVEL, which wins over it", "info")
	writeEnv(&b, "OTEL_EXPORTER_OTLP_ENDPOINT", "same as TENZRO_TRACE_ENDPOINT, which wins over it", "")
	writeEnv(&b, EnvConfig, "YAML file to read instead of config.yaml in the home", "")
	writeEnv(&b, EnvAPI, "node that client commands talk to; empty: the one of the home", "")
	writeEnv(&b, EnvToken, "bearer token that client commands send", "")
	return b.String()
}

func writeEnv(b *strings.Builder, name, doc, value string) {
	b.WriteString("\n")
	for _, line := range wrap(doc, wrapAt) {
		fmt.Fprintf(b, "# %s\n", line)
	}
	fmt.Fprintf(b, "#%s=%s\n", name, value)
}

// Reference returns the table of docs/configuration.md.
func Reference() string {
	var b strings.Builder
	b.WriteString("| file | flag | variable | default | meaning |\n|---|---|---|---|---|\n")
	for _, k := range Keys() {
		path, value := "`"+k.Path+"`", "empty"
		if k.NoFile {
			path = "not in the file"
		}
		if k.Default != "" {
			value = "`" + k.Default + "`"
		}
		fmt.Fprintf(&b, "| %s | `--%s` | `%s` | %s | %s%s |\n", path, k.Flag, k.Env(), value, k.Doc, bounds(k))
	}
	return b.String()
}

// bounds says which numbers k takes, in words of k's own unit.
func bounds(k Key) string {
	if k.Min == 0 && k.Max == 0 {
		return ""
	}
	if _, isTime := k.bind(new(Settings)).(*time.Duration); isTime {
		return fmt.Sprintf(" (%s to %s)", time.Duration(k.Min), time.Duration(k.Max))
	}
	return fmt.Sprintf(" (%d to %d)", k.Min, k.Max)
}

// wrap breaks text into lines of at most width characters where words allow.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
