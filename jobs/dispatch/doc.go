// Package dispatch is the job protocol of one hop, both ends: a Dispatcher
// hands out units of work, a Puller takes them. Gateway to region and region to
// worker are the same protocol at two levels.
//
// It decides nothing about placement or states (package jobs does) and knows
// nothing of what the work means: an Owner judges results, a Taker runs offers.
// A Link carries the messages, over a resumable session to another process or
// over a pipe inside this one.
//
// It guarantees that every submitted unit reaches its Owner's Done or Ended
// exactly once, unless the dispatcher is retired before; that a lost link, an expired lease or a refused result puts the
// unit back in the queue; and that no call blocks on a slow peer: queues are
// bounded and a peer that does not drain its own loses the link.
//
// The coordinators of a region take turns in leading it, in epochs. The one that
// leads next (Lead, Resume) adopts what workers hold (Holdings) instead of having
// it run again; the one before (Retire) forgets its units in silence.
//
// A node runs one Dispatcher for its gateway and one for its region, and one
// Puller for every link on which it executes; the pullers towards one region
// share their Holdings.
package dispatch
