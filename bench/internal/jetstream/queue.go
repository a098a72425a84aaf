package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tenzro/tenzro/bench/internal/work"
	"github.com/tenzro/tenzro/keys"
)

// Streams of a queue: tasks that wait for a worker, results that wait for their
// submitter. Both sync every message.
const (
	tasks   = "tasks"
	results = "results"
)

// Queue is the same job as a node runs, over the queue that one would build with
// JetStream: the task is a message of a work queue, acknowledged to its submitter
// once it is synced; workers pull, compute and sign, publish the result, synced
// too, and only then acknowledge the task; the submitter, who listens to results,
// verifies his own.
type Queue struct {
	*Rig
	data json.RawMessage
	want string
	by   *work.Worker
	next atomic.Uint64
	stop []func()

	mu      sync.Mutex
	waiting map[string]chan work.Result
	failure error // of a worker
}

// StartQueue runs a server whose files are under dir, and workers that do slots
// jobs at once each. Jobs carry data and must give want.
func StartQueue(ctx context.Context, dir string, workers, slots int, data json.RawMessage, want string) (*Queue, error) {
	identity, err := keys.Generate()
	if err != nil {
		return nil, err
	}
	r, err := Start(ctx, dir)
	if err != nil {
		return nil, err
	}
	q := &Queue{Rig: r, data: data, want: want, by: work.New(identity), waiting: map[string]chan work.Result{}}
	if err := q.open(ctx, workers, slots); err != nil {
		return nil, errors.Join(err, q.Close())
	}
	return q, nil
}

func (q *Queue) open(ctx context.Context, workers, slots int) error {
	queue, err := q.js.CreateStream(ctx, jetstream.StreamConfig{Name: tasks, Subjects: []string{tasks + ".>"},
		Storage: jetstream.FileStorage, Retention: jetstream.WorkQueuePolicy})
	if err != nil {
		return err
	}
	ended, err := q.js.CreateStream(ctx, jetstream.StreamConfig{Name: results, Subjects: []string{results + ".>"}, Storage: jetstream.FileStorage})
	if err != nil {
		return err
	}
	listener, err := ended.CreateConsumer(ctx, jetstream.ConsumerConfig{AckPolicy: jetstream.AckNonePolicy})
	if err != nil {
		return err
	}
	if err := q.consume(listener, q.hear); err != nil {
		return err
	}
	pull, err := queue.CreateConsumer(ctx, jetstream.ConsumerConfig{Durable: "workers", AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		return err
	}
	for range workers {
		free := make(chan struct{}, slots)
		err := q.consume(pull, func(m jetstream.Msg) {
			free <- struct{}{}
			go func() {
				defer func() { <-free }()
				q.failed(q.work(ctx, m))
			}()
		}, jetstream.PullMaxMessages(slots))
		if err != nil {
			return err
		}
	}
	return nil
}

func (q *Queue) consume(c jetstream.Consumer, fn func(jetstream.Msg), opts ...jetstream.PullConsumeOpt) error {
	running, err := c.Consume(fn, opts...)
	if err == nil {
		q.stop = append(q.stop, running.Stop)
	}
	return err
}

// work is a worker's part.
func (q *Queue) work(ctx context.Context, m jetstream.Msg) error {
	done, err := q.by.Do(m.Data())
	if err != nil {
		return err
	}
	text, err := json.Marshal(done)
	if err != nil {
		return err
	}
	if _, err := q.js.Publish(ctx, results+strings.TrimPrefix(m.Subject(), tasks), text); err != nil {
		return err
	}
	return m.Ack()
}

// failed remembers the first error of a worker; the jobs that wait for it never end.
func (q *Queue) failed(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.failure == nil {
		q.failure = err
	}
}

// hear hands a result to whoever waits for it.
func (q *Queue) hear(m jetstream.Msg) {
	var r work.Result
	if err := json.Unmarshal(m.Data(), &r); err != nil {
		q.failed(err)
		return
	}
	id := strings.TrimPrefix(m.Subject(), results+".")
	q.mu.Lock()
	defer q.mu.Unlock()
	if answer := q.waiting[id]; answer != nil {
		answer <- r
		delete(q.waiting, id)
	}
}

// patience is how long a job may take.
const patience = 30 * time.Second

// Job submits one job, waits for its result and verifies it.
func (q *Queue) Job(ctx context.Context) error {
	id, answer := strconv.FormatUint(q.next.Add(1), 10), make(chan work.Result, 1)
	q.mu.Lock()
	q.waiting[id] = answer
	q.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := q.js.Publish(ctx, tasks+"."+id, q.data); err != nil {
		return err
	}
	select {
	case r := <-answer:
		return q.by.Verify(q.data, r, q.want)
	case <-ctx.Done():
		q.mu.Lock()
		defer q.mu.Unlock()
		return fmt.Errorf("no result of job %s: %w", id, errors.Join(ctx.Err(), q.failure))
	}
}

// Close ends the workers, client and server; the files stay.
func (q *Queue) Close() error {
	for _, stop := range q.stop {
		stop()
	}
	return q.Rig.Close()
}
