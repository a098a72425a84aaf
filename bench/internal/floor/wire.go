package floor

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"

	"github.com/tenzro/tenzro/bench/internal/work"
	"github.com/tenzro/tenzro/core"
)

// request is one job on its way to the worker.
type request struct {
	ID   uint64          `json:"id"`
	Type core.TaskType   `json:"type"`
	Data json.RawMessage `json:"data"`
}

// response is its result.
type response struct {
	ID uint64 `json:"id"`
	work.Result
}

// maxFrame bounds what is read; jobs here have a few hundred bytes.
const maxFrame = 64 << 10

// frame encodes v behind its length.
func frame(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 4, 4+len(body))
	binary.BigEndian.PutUint32(out, uint32(len(body)))
	return append(out, body...), nil
}

func readFrame(r *bufio.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxFrame {
		return nil, fmt.Errorf("a frame of %d bytes", n)
	}
	body := make([]byte, n)
	_, err := io.ReadFull(r, body)
	return body, err
}

// pump writes frames to w until frames is closed; those that wait leave together.
func pump(w io.Writer, frames <-chan []byte) error {
	buf := bufio.NewWriterSize(w, 16<<10)
	for f := range frames {
		if _, err := buf.Write(f); err != nil {
			return err
		}
		if len(frames) > 0 {
			continue
		}
		if err := buf.Flush(); err != nil {
			return err
		}
	}
	return buf.Flush()
}
