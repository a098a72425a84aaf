package container

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
)

// output keeps what a container writes, up to a bound for both of its outputs together.
type output struct {
	left           int
	report         compute.Report // hears it as it comes
	stdout, stderr bytes.Buffer
}

// writer returns where one of the outputs goes. Beyond the bound writing is a failure of
// the task.
func (o *output) writer(s core.Stream, to *bytes.Buffer) io.Writer { return &boundedWriter{o, s, to} }

type boundedWriter struct {
	all    *output
	stream core.Stream
	to     *bytes.Buffer
}

// Write implements io.Writer.
func (w *boundedWriter) Write(p []byte) (int, error) {
	if len(p) > w.all.left {
		return 0, &core.Failure{Reason: core.ReasonOutputLimit,
			Message: fmt.Sprintf("the program wrote more than the %d bytes that can be delivered%s", MaxOutput, tail(w.all.stderr.Bytes()))}
	}
	w.all.left -= len(p)
	w.all.report.Output(w.stream, p)
	return w.to.Write(p)
}

// tail is the end of a message: the last of what a program had to say, if it had.
func tail(stderr []byte) string {
	if len(stderr) == 0 {
		return ""
	}
	return ": " + strings.ToValidUTF8(string(stderr[max(0, len(stderr)-maxTail):]), "?")
}
