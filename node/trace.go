package node

import (
	"github.com/tenzro/tenzro/internal/trace"
	"github.com/tenzro/tenzro/internal/trace/otlp"
)

// buildTrace makes what exports spans, where a collector is configured.
func (n *Node) buildTrace() error {
	endpoint, err := otlp.Endpoint(n.cfg.Trace.Endpoint)
	if err != nil || endpoint == "" {
		return err
	}
	n.exporter, err = otlp.New(otlp.Config{Endpoint: endpoint, Node: n.identity.ID(), Network: n.cfg.Network, Version: n.cfg.Version,
		Registerer: n.registerer}, n.log)
	if err == nil {
		n.closers = append(n.closers, n.exporter.Close)
	}
	return err
}

// sink is where spans go besides memory, nil for nowhere.
func (n *Node) sink() trace.Sink {
	if n.exporter == nil { // a nil pointer in an interface is no nil
		return nil
	}
	return n.exporter
}
