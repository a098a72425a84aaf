// Package history judges what clients of a network saw: who asked for what, what
// they were told, and how it ended.
//
// A run appends events to a Log; Judge turns them into a Verdict. Judging is
// pure: no clock, no network, no chance, so that planted histories (a lost job, a
// result that changed, a key with two ids) show that it can fail. It does not
// look into nodes and believes nothing but what was said to a client.
//
// It guarantees that a job is counted once whatever happened to it, that a job
// that was acknowledged and not seen to end is never passed over in silence (it is
// lost, or open when nobody looked long enough), and that the order in which
// events were appended changes nothing.
package history
