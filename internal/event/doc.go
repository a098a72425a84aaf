// Package event carries facts that already happened in this node to whoever
// watches: dashboards, the event stream of the API, tests.
//
// It is not a way to make things happen: nothing that must be correct may depend
// on an event, because publishing never waits and a slow watcher loses events.
// It does not cross the network and remembers nothing over a restart.
//
// It guarantees that ids are dense and rising in the order of publication, so a
// jump in ids tells a watcher exactly how many it lost; that a subscription sees
// the events kept from before and the live ones in one unbroken order without a
// repeat; and that every loss is counted. The composition root makes one Bus; it
// needs no goroutine and no closing.
package event
