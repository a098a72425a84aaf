package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tenzro/tenzro/compute/container"
)

// containers tells whether containers can be run, where the node is told to.
func (in Input) containers(ctx context.Context) []Line {
	const check = "containers"
	if in.Config == nil || !in.Config.Compute.Containers.On {
		return okay(check, "not run here: compute.containers is off")
	}
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	c := in.Config.Compute.Containers
	host, err := container.Find(ctx, c.Socket, c.Images)
	if err != nil {
		return one(check, Fail, hint(err, "look at the engine's own log"), "%s: %v", c.Socket, err)
	}
	defer host.Close()
	detail := fmt.Sprintf("engine %s has %d of %d allowed images", host.Version, len(c.Images)-len(host.Missing), len(c.Images))
	if len(host.Walls) > 0 {
		detail += "; besides what every engine has: " + strings.Join(host.Walls, ", ")
	}
	var lacks []string
	for ref, why := range host.Missing {
		lacks = append(lacks, fmt.Sprintf("%s: %v", ref, why))
	}
	slices.Sort(lacks)
	switch fix := "pull them with docker pull NAME@DIGEST, or set compute.containerPull"; {
	case len(lacks) == len(c.Images):
		return one(check, Fail, fix, "%s: %s", detail, strings.Join(lacks, "; "))
	case len(lacks) > 0:
		return one(check, Warn, fix, "%s: %s", detail, strings.Join(lacks, "; "))
	}
	return okay(check, "%s", detail)
}
