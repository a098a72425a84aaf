package cluster

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/tenzro/tenzro/jobs/dispatch"
)

// Counters are what all hosts of a cluster together did so far.
type Counters struct {
	Frames      float64 // of the job protocol, sent
	Messages    float64 // in them
	Gossip      float64 // messages published
	Connections float64 // made by workers, either way
	Streams     float64 // opened between workers and the region, either way
}

// Minus returns what happened since before.
func (c Counters) Minus(before Counters) Counters {
	return Counters{c.Frames - before.Frames, c.Messages - before.Messages, c.Gossip - before.Gossip,
		c.Connections - before.Connections, c.Streams - before.Streams}
}

// Settle is how long what follows a result takes: verdicts and receipts, which the
// region collects for dispatch.RewardDelay, and acknowledgements.
const Settle = dispatch.RewardDelay + 400*time.Millisecond

// Counters waits until what follows the last result is done and counts.
func (c *Cluster) Counters(ctx context.Context) (Counters, error) {
	time.Sleep(Settle)
	var out Counters
	for _, n := range c.nodes {
		text, err := scrape(ctx, n)
		if err != nil {
			return out, err
		}
		out.Frames += sum(text, "tenzro_job_frames_sent_total")
		out.Messages += sum(text, `tenzro_job_messages_total{direction="out"}`)
		out.Gossip += sum(text, "tenzro_gossip_published_total")
	}
	frames, messages, err := c.sent()
	if err != nil {
		return out, err
	}
	out.Frames += frames
	out.Messages += messages
	for _, w := range c.workers {
		out.Connections += float64(w.conns.Load())
		n, err := w.streams(ctx)
		if err != nil {
			return out, err
		}
		out.Streams += float64(n)
	}
	return out, nil
}

// sent is what the workers sent.
func (c *Cluster) sent() (frames, messages float64, err error) {
	families, err := c.registry.Gather()
	if err != nil {
		return 0, 0, err
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			switch f.GetName() {
			case "tenzro_job_frames_sent_total":
				frames += m.GetCounter().GetValue()
			case "tenzro_job_messages_total":
				if m.GetLabel()[0].GetValue() == "out" {
					messages += m.GetCounter().GetValue()
				}
			}
		}
	}
	return frames, messages, nil
}

func scrape(ctx context.Context, n *served) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.client.addr+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the metrics answered %d", resp.StatusCode)
	}
	return io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
}

// sum adds the series that begin with name.
func sum(text []byte, name string) (total float64) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if series, value, ok := strings.Cut(lines.Text(), " "); ok && strings.HasPrefix(series, name) {
			if v, err := strconv.ParseFloat(value, 64); err == nil {
				total += v
			}
		}
	}
	return total
}

// streams returns how many streams the worker's host has opened or accepted: the
// swarm numbers them all, so one more stream, given up at once, tells. That one
// is not counted.
func (w *worker) streams(ctx context.Context) (int, error) {
	id, err := peer.Decode(string(w.coord))
	if err != nil {
		return 0, err
	}
	s, err := w.host.LibP2P().Network().NewStream(ctx, id)
	if err != nil {
		return 0, err
	}
	defer s.Reset()
	n, err := strconv.Atoi(s.ID()[strings.LastIndexByte(s.ID(), '-')+1:])
	if err != nil {
		return 0, fmt.Errorf("the stream id %q has no number", s.ID())
	}
	w.probes++
	return n - w.probes, nil
}
