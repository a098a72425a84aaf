// Package storage is what an object is: bytes that a node keeps under the digest of
// themselves, so that a task can name them instead of carrying them, and what every
// store of objects promises.
//
// It is not a file system: an object has no name but its id, never changes, and is
// small, MaxObjectBytes at most. It is not a backup either: a store forgets what
// nobody has used for its retention, and until objects are spread over nodes one is
// as safe as the disk it is on.
//
// Every store guarantees: what Put has acknowledged is there until the time the
// answer names, or Delete; bytes that are not those of the id are never handed out;
// what does not fit is refused, and nothing that was acknowledged goes for it.
// Package storagetest holds a store to that. The package itself does no I/O, has no
// clock and starts no goroutine; package storage/disk keeps objects in a directory,
// package storage/exchange has those of other nodes too.
package storage
