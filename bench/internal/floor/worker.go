package floor

import (
	"bufio"
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/vector"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/keys"
)

// worker computes and signs.
type worker struct {
	identity *keys.Identity
	engine   vector.Vector
}

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
	result, err := w.engine.Run(context.Background(), q.Data, compute.Report{})
	if err != nil {
		return nil, err
	}
	proof := core.Proof{OperationType: string(q.Type), NodeID: w.identity.ID(), Timestamp: time.Now().UnixMilli(),
		InputHash: core.Sum(q.Data), OutputHash: core.Sum(result.Result), ResultMetric: result.Metric}
	keys.SignProof(w.identity, &proof)
	return frame(response{ID: q.ID, Output: result.Result, Proof: proof})
}
