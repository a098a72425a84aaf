package dispatch

import (
	"context"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// greetTimeout is how long the other side of a new link may take to introduce
// itself.
const greetTimeout = 5 * time.Second

// Greet exchanges introductions on a new link: it sends mine and waits for
// theirs, which must be the first message, of the same network and in the name
// of the peer. Use the returned link from then on. A side that sends an ad wants
// to execute; one that sends none wants to hand out work.
func Greet(ctx context.Context, link Link, mine *wire.Hello) (Link, *wire.Hello, error) {
	ctx, cancel := context.WithTimeout(ctx, greetTimeout)
	defer cancel()
	if err := link.Send(mine); err != nil {
		return nil, nil, err
	}
	bodies, err := link.Recv(ctx)
	if err != nil {
		return nil, nil, err
	}
	theirs, ok := bodies[0].(*wire.Hello)
	switch {
	case !ok:
		drop(link, "unexpected")
		return nil, nil, core.Errorf(core.Invalid, "hello", "node %s sent %s before it said hello", link.Peer().Short(), bodies[0].Type())
	case theirs.Network != mine.Network:
		return nil, nil, core.Errorf(core.Denied, "network", "node %s is of network %q", link.Peer().Short(), theirs.Network)
	case theirs.Version != mine.Version:
		return nil, nil, core.Errorf(core.Unsupported, "version", "node %s speaks version %d of the job protocol, this node %d",
			link.Peer().Short(), theirs.Version, mine.Version).WithHint("upgrade the older of the two")
	case theirs.Ad != nil && theirs.Ad.NodeID != link.Peer():
		drop(link, "forged")
		return nil, nil, core.Errorf(core.Denied, "ad", "node %s sent the ad of another node", link.Peer().Short())
	}
	if len(bodies) == 1 {
		return link, theirs, nil
	}
	return &replay{Link: link, first: bodies[1:]}, theirs, nil
}

// drop counts what came instead of a good greeting; only a link to another process
// counts.
func drop(link Link, cause string) {
	if l, ok := link.(*netLink); ok {
		l.metrics.dropped(link.Peer(), cause)
	}
}

// replay gives back what came in one frame with the hello.
type replay struct {
	Link
	first []wire.Body
}

// Recv implements Link.
func (r *replay) Recv(ctx context.Context) ([]wire.Body, error) {
	if first := r.first; first != nil {
		r.first = nil
		return first, nil
	}
	return r.Link.Recv(ctx)
}

const (
	// ProtocolName and ProtocolVersion make the protocol id of links.
	ProtocolName = "job"
	// ProtocolVersion is the part after the name.
	ProtocolVersion = "1.0.0"
	// HelloVersion is the version both sides must name in their Hello.
	HelloVersion = 2
)
