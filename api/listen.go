package api

import (
	"errors"
	"net"
	"sync"
	"syscall"

	"github.com/tenzro/tenzro/core"
)

// listen binds addr for at most conns connections at a time; field is where
// addr came from.
func listen(addr, field string, conns int) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	switch {
	case err == nil:
		return &limited{TCPListener: l.(*net.TCPListener), free: make(chan struct{}, conns), closed: make(chan struct{})}, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, core.Errorf(core.Conflict, field, "address %s is in use by another program", addr).
			WithHint("stop that program, or set " + field + " to another port (0 takes any free one)")
	case errors.Is(err, syscall.EACCES):
		return nil, core.Errorf(core.Denied, field, "this user may not listen on %s", addr).
			WithHint("set " + field + " to a port above 1023")
	}
	return nil, core.Errorf(core.Unavailable, field, "listening on %s: %w", addr, err)
}

// limited accepts a connection only while fewer than cap(free) are open; the
// others wait in the kernel's backlog.
type limited struct {
	*net.TCPListener
	free   chan struct{} // one element per open connection
	once   sync.Once
	closed chan struct{}
}

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.free <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.AcceptTCP()
	if err != nil {
		<-l.free
		return nil, err
	}
	return &counted{TCPConn: c, release: sync.OnceFunc(func() { <-l.free })}, nil
}

// Close implements net.Listener.
func (l *limited) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.TCPListener.Close()
}

// counted gives its place back when it is closed. It stays a TCP connection in
// every other way, so that the http package can half-close it.
type counted struct {
	*net.TCPConn
	release func()
}

// Close implements net.Conn.
func (c *counted) Close() error {
	defer c.release()
	return c.TCPConn.Close()
}
