package chaos

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// scrape reads a node's metrics: by name, the sum of all series of a name.
func (n *Node) scrape(ctx context.Context) (map[string]float64, error) {
	status, text, err := n.get(ctx, "/metrics", callLimit)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("/metrics of %s answers %d", n.Name, status)
	}
	return sums(string(text)), nil
}

// sums reads the Prometheus text format, as far as a sum by name needs it.
func sums(text string) map[string]float64 {
	out := map[string]float64{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		end := strings.IndexAny(line, "{ ")
		last := strings.LastIndexByte(line, ' ')
		if end <= 0 || line[0] == '#' {
			continue
		}
		if v, err := strconv.ParseFloat(line[last+1:], 64); err == nil {
			out[line[:end]] += v
		}
	}
	return out
}

// Usage is what a node's process holds.
type Usage struct {
	Goroutines  int `json:"goroutines"`
	Descriptors int `json:"descriptors"`
	MemoryMiB   int `json:"memoryMiB"`
}

func (n *Node) usage(ctx context.Context) (Usage, error) {
	n.client.CloseIdleConnections() // the harness's own connections count at the node too
	m, err := n.scrape(ctx)
	return Usage{Goroutines: int(m["go_goroutines"]), Descriptors: int(m["process_open_fds"]),
		MemoryMiB: int(m["process_resident_memory_bytes"]) >> 20}, err
}

// Room above the tenth that a node may hold more than before: connections to
// peers come and go, and each has some.
const (
	slackGoroutines  = 40
	slackDescriptors = 16
)

// Leak is what a node held before the faults and what it holds now.
type Leak struct {
	Node   string `json:"node"`
	Before Usage  `json:"before"`
	After  Usage  `json:"after"`
}

// leaks says whether after is more than before and the room that is given.
func (l Leak) leaks() bool {
	over := func(before, after, slack int) bool { return after > before+before/10+slack }
	return over(l.Before.Goroutines, l.After.Goroutines, slackGoroutines) || over(l.Before.Descriptors, l.After.Descriptors, slackDescriptors)
}

// settle is how often the nodes are asked again whether they let go.
const settle = time.Second
