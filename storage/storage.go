package storage

import (
	"context"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/tenzro/tenzro/core"
)

const (
	// MaxObjectBytes is how large an object may be: as large as a task, which takes it in.
	MaxObjectBytes = core.MaxTaskBytes
	// MaxPage is how many objects a page of a list has at most.
	MaxPage = 1000
)

// Info says what is known of an object without its bytes.
type Info struct {
	ID   core.ObjectID `json:"id"`
	Size int64         `json:"size"` // bytes
	// Used is when it was last put, read or taken into a task, to the hour.
	Used time.Time `json:"usedAt"`
	// Expires is until when it is kept; using it moves that on.
	Expires time.Time `json:"expires"`
	// Copy: this node fetched it from another one. It may go earlier, for an object
	// that somebody puts here.
	Copy bool `json:"copy,omitempty"`
}

// Page is a part of a list of objects.
type Page struct {
	Objects []Info `json:"objects"`
	Next    string `json:"next,omitempty"` // where the next page begins; empty: this is the last
}

// Store keeps objects. Implementations are safe for concurrent use.
type Store interface {
	// Put keeps what r gives, and created says whether it is new here. The answer
	// means that the object survives a crash of the machine. More than MaxObjectBytes
	// is core.Exhausted, no room for it core.Full; an error of r is returned as it is.
	Put(ctx context.Context, r io.Reader) (info Info, created bool, err error)
	// Get returns an object whole, checked against its id; the caller must not change
	// the bytes. core.NotFound when it is not there, core.Corrupt when it is damaged.
	Get(ctx context.Context, id core.ObjectID) (Info, []byte, error)
	// Delete removes an object; core.NotFound when it is not there.
	Delete(ctx context.Context, id core.ObjectID) error
	// List returns at most limit objects, those used last first, behind the Next of the
	// page before or from the beginning. One that is used while somebody pages moves to
	// the front and may be missed.
	List(ctx context.Context, after string, limit int) (Page, error)
}

// NotFound is the error for an object that is not there.
func NotFound(id core.ObjectID) error {
	return core.Errorf(core.NotFound, "object", "object %s is not known here", id).
		WithHint("upload it again: tenzro object put FILE")
}

// TooLarge is the error for more bytes than an object may have.
func TooLarge() error {
	return core.Errorf(core.Exhausted, "object", "the object has more than %d bytes", MaxObjectBytes).
		WithHint("split it over several objects")
}

// Cursor is a place in a list: behind the object that was used then.
type Cursor struct {
	Used time.Time
	ID   core.ObjectID
}

// String returns the text form of a cursor.
func (c Cursor) String() string {
	return strconv.FormatInt(c.Used.UnixNano(), 10) + "-" + c.ID.String()
}

// ParseCursor accepts what String gives.
func ParseCursor(s string) (c Cursor, err error) {
	nanos, id, _ := strings.Cut(s, "-")
	n, err := strconv.ParseInt(nanos, 10, 64)
	if err == nil {
		c.Used = time.Unix(0, n)
		err = c.ID.UnmarshalText([]byte(id))
	}
	if err != nil || c.String() != s {
		return Cursor{}, core.Errorf(core.Invalid, "after", "%.100q is not where a page of objects ended", s).
			WithHint("give the next of the page before, or leave after out")
	}
	return c, nil
}

// CheckPage returns core.Invalid for a limit that no page has.
func CheckPage(limit int) error {
	if limit < 1 || limit > MaxPage {
		return core.Errorf(core.Invalid, "limit", "limit is %d; it must be 1 to %d", limit, MaxPage)
	}
	return nil
}
