package cluster

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 16 << 20

// patience is how long an answer may take.
const patience = 30 * time.Second

// client keeps connections to one server and sends the same request over them
// again and again. It does what a client must and no more, one write and one
// read with no goroutine of its own, so that a figure is the node's and not that
// of a client library: net/http's takes twice the processor time, and a tenth of
// the job's with only its reading of an answer.
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
	return c.answer()
}

// answer reads a status line, the headers as far as they matter, and a body of the
// length they say. It is read as what the node is known to send, not as all that
// HTTP allows: anything else is an error.
func (c *conn) answer() (status int, body []byte, err error) {
	line, err := c.line()
	if err != nil {
		return 0, nil, err
	}
	proto, rest, _ := bytes.Cut(line, []byte(" "))
	code, _, _ := bytes.Cut(rest, []byte(" "))
	if status, err = strconv.Atoi(string(code)); err != nil || string(proto) != "HTTP/1.1" {
		return 0, nil, fmt.Errorf("%.80q is no status line", line)
	}
	length, err := c.headers()
	if err != nil {
		return 0, nil, err
	}
	body = make([]byte, length)
	_, err = io.ReadFull(c.in, body)
	return status, body, err
}

// headers reads to the end of the headers and returns the length of the body.
func (c *conn) headers() (length int, err error) {
	length = -1
	for {
		line, err := c.line()
		switch {
		case err != nil:
			return 0, err
		case len(line) > 0:
			if v, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
				if length, err = strconv.Atoi(string(v)); err != nil || length > maxAnswer {
					return 0, fmt.Errorf("%.80q is no length of an answer", line)
				}
			}
		case length < 0:
			return 0, errors.New("the answer does not say how long it is")
		default:
			return length, nil
		}
	}
}

// line returns the next line without its end, valid until the next read.
func (c *conn) line() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	return bytes.TrimRight(line, "\r\n"), err
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
