// Package sim runs a whole network on virtual time and hurts it: three
// coordinators with their journals, workers, gateways and clients, joined by a
// simulated network, under faults that a seed chooses.
//
// Everything but the network, the disks and the clock is the product: raft and
// the journal's state machine, the validator, dispatcher, holdings and pullers,
// the gateway's coordinator, the engine and every message in its encoding. What
// it is not: a host of libp2p, an HTTP server or a process; chaos hurts those.
//
// It guarantees that a seed always gives the same network, load and faults. In
// which order goroutines run at one moment is the runtime's choice, so a failure
// that needs a certain order may need its seed several times.
package sim
