// Package jetstream is the yardstick for durable jobs: an embedded NATS server
// that keeps messages in files and syncs each one before it acknowledges it.
//
// It is not part of the product and knows nothing of jobs: a message is some
// bytes that survive a crash once they are acknowledged. Server and client share
// the process and talk over loopback, as HTTP clients do with a node.
package jetstream

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// MessageBytes is the size of a message, about the mean of the two records that a
// tiny job makes in our own journal: 382 bytes when it is accepted, 859 at its end.
const MessageBytes = 600

const (
	subject   = "jobs"
	startTime = 30 * time.Second
)

// Rig is a server, a stream on disk and a client.
type Rig struct {
	server  *server.Server
	conn    *nats.Conn
	js      jetstream.JetStream
	message []byte
}

// Start runs a server whose files are under dir and waits until it takes
// messages.
func Start(ctx context.Context, dir string) (*Rig, error) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true, JetStream: true, StoreDir: dir, SyncAlways: true})
	if err != nil {
		return nil, err
	}
	r := &Rig{server: s, message: make([]byte, MessageBytes)}
	s.Start()
	if !s.ReadyForConnections(startTime) {
		return nil, errors.Join(errors.New("the NATS server does not start"), r.Close())
	}
	if err := r.connect(ctx); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Rig) connect(ctx context.Context) (err error) {
	if r.conn, err = nats.Connect(r.server.ClientURL()); err != nil {
		return err
	}
	if r.js, err = jetstream.New(r.conn); err != nil {
		return err
	}
	_, err = r.js.CreateStream(ctx, jetstream.StreamConfig{Name: subject, Subjects: []string{subject}, Storage: jetstream.FileStorage})
	return err
}

// Publish sends one message and waits for its acknowledgement.
func (r *Rig) Publish(ctx context.Context) error {
	_, err := r.js.Publish(ctx, subject, r.message)
	return err
}

// Close ends client and server; the files stay.
func (r *Rig) Close() error {
	if r.conn != nil {
		r.conn.Close()
	}
	r.server.Shutdown()
	r.server.WaitForShutdown()
	return nil
}
