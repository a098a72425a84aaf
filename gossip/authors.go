package gossip

import (
	"math"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/time/rate"
)

const (
	// DefaultRate is how many messages per second one author may send, all topics
	// together. The busiest honest author, a coordinator, sends about one.
	DefaultRate = 5.0
	// DefaultBurst is how many he may send at once.
	DefaultBurst = 50
	// maxAuthors bounds the authors remembered; one that is forgotten starts with
	// a full burst.
	maxAuthors = 16_384
	// maxStrikes keeps what strikes cost above gossipThreshold: an author whose
	// clock is wrong or whose version is newer is served last, not cut off.
	maxStrikes    = 40.0
	strikeHalving = time.Minute
)

// authors knows how much each author sent and how often it was not to the point.
// Authors are proved by the pubsub signature before they are looked up here.
type authors struct {
	limit rate.Limit
	burst int

	mu    sync.Mutex
	known *simplelru.LRU[peer.ID, *author]
}

type author struct {
	limiter *rate.Limiter
	strikes float64 // at the time at
	at      time.Time

	sealed time.Time // by his clock, of the message that took the shortest way
	heard  time.Time // when that came
}

func newAuthors(perSecond float64, burst int) *authors {
	known, _ := simplelru.NewLRU[peer.ID, *author](maxAuthors, nil) // fails for sizes below 1 only
	return &authors{limit: rate.Limit(perSecond), burst: burst, known: known}
}

// allow takes one message from id's budget and reports whether it was there.
func (a *authors) allow(id peer.ID, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	one, ok := a.known.Get(id)
	if !ok {
		one = &author{limiter: rate.NewLimiter(a.limit, a.burst)}
		a.known.Add(id, one)
	}
	return one.limiter.AllowN(now, 1)
}

// strike counts a message of id that was not passed on but proves no malice.
func (a *authors) strike(id peer.ID, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if one, ok := a.known.Get(id); ok {
		one.strikes, one.at = min(maxStrikes, one.left(now)+1), now
	}
}

// strikes returns what id's strikes still weigh.
func (a *authors) strikes(id peer.ID, now time.Time) float64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	one, ok := a.known.Peek(id)
	if !ok {
		return 0
	}
	return one.left(now)
}

func (one *author) left(now time.Time) float64 {
	if one.strikes == 0 {
		return 0
	}
	return one.strikes * math.Exp2(-now.Sub(one.at).Seconds()/strikeHalving.Seconds())
}
