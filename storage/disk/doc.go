// Package disk keeps objects in a directory: one file for each, named by its id.
//
//	ab/<id>        an object whose id begins with ab
//	ab/<id>.copy   one that was fetched from another node
//	tmp/           what is being written; emptied at the start
//	damaged/<id>   a file whose bytes were not those of its name
//
// A file is written under another name, synced, renamed and its directory synced
// before Put answers: after a crash an object is there whole or not at all, and it
// is there if it was acknowledged. The time of a file is when it was used last, to
// the hour; what nobody used for the retention is removed by Expire. Get reads a
// file whole and compares its digest before anybody sees a byte; what does not match
// is moved aside, told in the log and never served. What would make the directory
// larger than it may be is refused, except that copies make room for objects.
//
// It is not a cache and it locks nothing: the home directory it is in belongs to one
// process. Nothing runs by itself; whoever owns the store calls Expire.
package disk
