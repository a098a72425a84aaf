package docker

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	// maxHead bounds the head of an answer, bytes.
	maxHead = 64 << 10
	// frameHead is how many bytes stand before what one write of a program wrote.
	frameHead = 8
)

// Stream is a connection to the standard streams of a container.
type Stream struct {
	conn   net.Conn
	in     *bufio.Reader
	detach func() bool // from the context
}

// Attach connects to the output of a container, and to its input if stdin is set.
// Nothing written before is seen, so it comes before Start. When ctx ends, so does the
// stream.
func (c *Client) Attach(ctx context.Context, id string, stdin bool) (*Stream, error) {
	path := "/containers/" + id + "/attach"
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, unreachable(ctx, path, err)
	}
	s := &Stream{conn: conn, detach: context.AfterFunc(ctx, func() { conn.Close() })}
	if err := s.open(ctx, c.prefix+path, stdin); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// open turns an HTTP connection into a stream.
func (s *Stream) open(ctx context.Context, path string, stdin bool) error {
	query := url.Values{"stream": {"1"}, "stdout": {"1"}, "stderr": {"1"}}
	if stdin {
		query.Set("stdin", "1")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+host+path+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "tcp")
	if err := s.conn.SetDeadline(time.Now().Add(callTimeout)); err != nil {
		return unreachable(ctx, path, err)
	}
	if err := req.Write(s.conn); err != nil {
		return unreachable(ctx, path, err)
	}
	bounded := &io.LimitedReader{R: s.conn, N: maxHead} // of the answer's head
	s.in = bufio.NewReader(bounded)
	resp, err := http.ReadResponse(s.in, req)
	if err != nil {
		return unreachable(ctx, path, err)
	}
	if resp.StatusCode >= http.StatusBadRequest {
		text, _ := io.ReadAll(resp.Body) // no more than the bound
		return refused(path, resp.StatusCode, text)
	}
	bounded.N = math.MaxInt64
	return s.conn.SetDeadline(time.Time{})
}

// Close ends the stream; the container goes on.
func (s *Stream) Close() {
	s.detach()
	s.conn.Close()
}

// Feed writes the standard input and closes it. The error is of no interest: a program
// need not read what it is given.
func (s *Stream) Feed(input []byte) {
	if _, err := s.conn.Write(input); err != nil {
		return
	}
	if half, ok := s.conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// Copy hands on what the container writes until it has closed both of its outputs. An
// error of a writer is returned as it is.
func (s *Stream) Copy(stdout, stderr io.Writer) error { return Demux(s.in, stdout, stderr) }

// Demux takes apart the two outputs that an engine sends in one stream. What a frame
// says of its own length is never allocated.
func Demux(r io.Reader, stdout, stderr io.Writer) error {
	var head [frameHead]byte
	for {
		if _, err := io.ReadFull(r, head[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return corrupt("/attach", "a stream that breaks off: %v", err)
		}
		to := stdout
		switch head[0] {
		case 1:
		case 2:
			to = stderr
		default:
			return corrupt("/attach", "a stream with a frame of kind %d", head[0])
		}
		if head[1]|head[2]|head[3] != 0 {
			return corrupt("/attach", "a stream with a frame that is none")
		}
		size := int64(binary.BigEndian.Uint32(head[4:]))
		if err := copyFrame(to, r, size); err != nil {
			return err
		}
	}
}

// copyFrame copies size bytes, in pieces that the writer may refuse.
func copyFrame(to io.Writer, r io.Reader, size int64) error {
	in := &io.LimitedReader{R: r, N: size}
	piece := make([]byte, min(size, 32<<10))
	for in.N > 0 {
		n, err := in.Read(piece)
		if _, err := to.Write(piece[:n]); err != nil {
			return err
		}
		if err != nil && in.N > 0 {
			return corrupt("/attach", "a stream that breaks off: %v", err)
		}
	}
	return nil
}
