package cluster

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 16 << 20

// patience is how long an answer may take.
const patience = 30 * time.Second

// client keeps connections to one server and sends the same request over them
// again and again. It does what a client must and no more, one write and one
// read with no goroutine of its own, so that a figure is the node's and not that
// of a client library: net/http's takes twice the processor time.
type client struct {
	addr string
	idle chan *conn
}

type conn struct {
	net.Conn
	in *bufio.Reader
}

func newClient(addr string) *client { return &client{addr: addr, idle: make(chan *conn, 1024)} }

// request writes out a request once and for all.
func (c *client) request(method, path string, body []byte) []byte {
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", method, path, c.addr, len(body))
	return append([]byte(head), body...)
}

// do sends a request and reads the answer.
func (c *client) do(ctx context.Context, request []byte) (status int, body []byte, err error) {
	conn, err := c.conn(ctx)
	if err != nil {
		return 0, nil, err
	}
	if status, body, err = conn.roundTrip(request); err != nil {
		_ = conn.Close()
		return 0, nil, err
	}
	select {
	case c.idle <- conn:
	default:
		_ = conn.Close()
	}
	return status, body, nil
}

func (c *client) conn(ctx context.Context) (*conn, error) {
	select {
	case conn := <-c.idle:
		return conn, nil
	default:
	}
	raw, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", c.addr)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: raw, in: bufio.NewReader(raw)}, nil
}

func (c *conn) roundTrip(request []byte) (status int, body []byte, err error) {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, nil, err
	}
	if _, err := c.Write(request); err != nil {
		return 0, nil, err
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	if n := resp.ContentLength; n >= 0 && n <= maxAnswer {
		body = make([]byte, n)
		_, err = io.ReadFull(resp.Body, body)
		return resp.StatusCode, body, err
	}
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return resp.StatusCode, body, err
}

// close ends the idle connections.
func (c *client) close() {
	for {
		select {
		case conn := <-c.idle:
			_ = conn.Close()
		default:
			return
		}
	}
}
