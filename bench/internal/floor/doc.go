// Package floor is the least that a verified job between two nodes can cost: a
// tiny job goes over one reused libp2p stream between two hosts of this process,
// is computed, signed and verified with the very functions a node uses, and
// comes back.
//
// It is not a protocol: nothing is queued, leased, retried, recorded or
// authorised, and no client is outside the process. What a node costs more than
// this is the price of those.
package floor
