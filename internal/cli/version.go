package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	ucli "github.com/urfave/cli/v2"
)

// buildInfo is what a binary knows about itself.
type buildInfo struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Date    string `json:"date,omitempty"`
	Go      string `json:"go"`
	System  string `json:"system"`
}

// version prefers what the linker set; without it, what the Go tool recorded.
func (s *shell) version() buildInfo {
	recorded, _ := debug.ReadBuildInfo()
	return describeBuild(s.Version, recorded)
}

func describeBuild(linked string, recorded *debug.BuildInfo) buildInfo {
	b := buildInfo{Version: linked, Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
	if recorded == nil {
		recorded = &debug.BuildInfo{}
	}
	for _, setting := range recorded.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.Commit = setting.Value
		case "vcs.time":
			b.Date = setting.Value
		}
	}
	if b.Version == "" {
		b.Version = recorded.Main.Version
	}
	if b.Version == "" || b.Version == "(devel)" {
		b.Version = "devel"
	}
	return b
}

func (s *shell) versionCommand() *ucli.Command {
	return &ucli.Command{Name: "version", Usage: "print the version of this program", Flags: []ucli.Flag{outputFlag()},
		Action: func(c *ucli.Context) error {
			if _, err := arguments(c); err != nil {
				return err
			}
			if wantJSON, err := asJSON(c); err != nil || wantJSON {
				if err != nil {
					return err
				}
				return showValue(s, c, s.version(), func(buildInfo) grid { return grid{} })
			}
			b := s.version()
			line := fmt.Sprintf("tenzro %s (%s, %s)", b.Version, b.Go, b.System)
			if b.Commit != "" {
				line = fmt.Sprintf("tenzro %s (commit %.12s, %s, %s)", b.Version, b.Commit, b.Go, b.System)
			}
			_, err := fmt.Fprintln(s.Out, line)
			return err
		}}
}
