// Package cluster is a region in one process: a real node that is gateway and
// coordinator, workers that are linked to it over loopback TCP, and an HTTP
// client. Every message between them crosses a socket.
//
// The node is node.Node as `tenzro run` starts it, logging to a file. A worker
// is the executing part of a node and no more: host, session, job link, puller,
// task manager and engine, without API, gossip, discovery and DHT server, of
// which a thousand do not fit into one process.
package cluster
