package floor

import (
	"bufio"
	"encoding/json"
	"sync"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/tenzro/tenzro/bench/internal/work"
)

// worker answers what comes over a stream.
type worker struct{ *work.Worker }

// serve answers the jobs of one stream, as many at once as come.
func (w *worker) serve(s network.Stream) {
	out := make(chan []byte, maxInFlight)
	var running, writing sync.WaitGroup
	writing.Go(func() {
		if pump(s, out) != nil {
			_ = s.Reset()
			for range out { // the submitter notices the reset
			}
		}
		_ = s.Close()
	})
	in := bufio.NewReaderSize(s, 16<<10)
	for {
		text, err := readFrame(in)
		if err != nil {
			break
		}
		running.Go(func() {
			if answer, err := w.answer(text); err == nil {
				out <- answer
			} else {
				_ = s.Reset()
			}
		})
	}
	running.Wait()
	close(out)
	writing.Wait()
}

func (w *worker) answer(text []byte) ([]byte, error) {
	var q request
	if err := json.Unmarshal(text, &q); err != nil {
		return nil, err
	}
	result, err := w.Do(q.Data)
	if err != nil {
		return nil, err
	}
	return frame(response{ID: q.ID, Result: result})
}
