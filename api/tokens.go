package api

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/google/uuid"

	"github.com/tenzro/tenzro/core"
)

const (
	secretPrefix = "tz_"
	secretBytes  = 32
	maxTokens    = 1024
	maxTokenName = core.MaxSubmitter

	maxTokenRate  = 1_000_000
	maxTokenTasks = 10_000_000
	maxTokenOpen  = int64(16) << 40
)

// Token is what the file remembers of a token: everything but its secret.
type Token struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	// SHA256 is the digest of the secret. A secret has 256 random bits, so that
	// a slow hash would protect nothing more.
	SHA256 core.Digest `json:"sha256"`
	// Limits overrule the server's.
	Limits TokenLimits `json:"limits,omitzero"`
}

// TokenLimits are the limits of one token; a zero field is the server's. Tokens of
// one name are one submitter: the first in the file says what it may have open.
type TokenLimits struct {
	Rate      int   `json:"rate,omitempty"`      // requests per second, bursts of twice as much
	OpenTasks int   `json:"openTasks,omitempty"` // unfinished tasks
	OpenBytes int64 `json:"openBytes,omitempty"` // of their data
}

func (l TokenLimits) validate() error {
	if l.Rate < 0 || l.Rate > maxTokenRate || l.OpenTasks < 0 || l.OpenTasks > maxTokenTasks || l.OpenBytes < 0 || l.OpenBytes > maxTokenOpen {
		return core.Errorf(core.Invalid, "limits", "a token's limits are out of range: rate 0 to %d, tasks 0 to %d, data 0 to %d MiB",
			maxTokenRate, maxTokenTasks, maxTokenOpen>>20)
	}
	return nil
}

// Tokens is the token file of a node, usable by the node and the command line
// at the same time. It may be called from any goroutine.
type Tokens struct {
	path string

	mu   sync.Mutex
	seen os.FileInfo // the file as it was read; nil when it did not exist
	list []Token
}

// OpenTokens reads the token file at path; a missing file holds no tokens. A
// file that others can read or write is refused.
func OpenTokens(path string) (*Tokens, error) {
	t := &Tokens{path: path}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t, t.refresh()
}

// Create adds a token and returns its id and its secret, which is shown this
// once and kept nowhere.
func (t *Tokens) Create(name string, limits TokenLimits) (id, secret string, err error) {
	if err := validTokenName(name); err != nil {
		return "", "", err
	}
	if err := limits.validate(); err != nil {
		return "", "", err
	}
	secret = newSecret()
	id = uuid.NewString()[:8]
	err = t.change(func(list []Token) ([]Token, error) {
		if len(list) >= maxTokens {
			return nil, core.Errorf(core.Exhausted, "tokens", "the token file holds %d tokens already", len(list)).
				WithHint("revoke one that is not used any more")
		}
		for slices.ContainsFunc(list, func(k Token) bool { return k.ID == id }) {
			id = uuid.NewString()[:8]
		}
		return append(list, Token{ID: id, Name: name, Created: time.Now().UTC().Truncate(time.Second), SHA256: core.Sum([]byte(secret)), Limits: limits}), nil
	})
	if err != nil {
		return "", "", err
	}
	return id, secret, nil
}

// List returns the tokens in the order they were made.
func (t *Tokens) List() ([]Token, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refresh(); err != nil {
		return nil, err
	}
	return slices.Clone(t.list), nil
}

// Revoke removes the token with this id, core.NotFound when there is none.
func (t *Tokens) Revoke(id string) error {
	return t.change(func(list []Token) ([]Token, error) {
		i := slices.IndexFunc(list, func(k Token) bool { return k.ID == id })
		if i < 0 {
			return nil, core.Errorf(core.NotFound, "id", "no token has the id %.40q", id).WithHint("see `tenzro token list`")
		}
		return slices.Delete(list, i, i+1), nil
	})
}

// Check returns the token of a secret, core.NotFound when no token has it. It
// takes the same time for every wrong secret.
func (t *Tokens) Check(secret string) (Token, error) {
	sum := sha256.Sum256([]byte(secret))
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refresh(); err != nil {
		return Token{}, err
	}
	found := -1
	for i := range t.list {
		if subtle.ConstantTimeCompare(t.list[i].SHA256[:], sum[:]) == 1 {
			found = i
		}
	}
	if found < 0 || !strings.HasPrefix(secret, secretPrefix) {
		return Token{}, core.Errorf(core.NotFound, "token", "no token has this secret")
	}
	return t.list[found], nil
}

// limitsOf returns the limits of the first token with a name.
func (t *Tokens) limitsOf(name string) TokenLimits {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.list { // the list that admitted the request
		if t.list[i].Name == name {
			return t.list[i].Limits
		}
	}
	return TokenLimits{}
}

// Quota returns what a submitter may have unfinished at once; zeros, when no
// token is needed, are no limit.
func (s *Server) Quota(submitter string) (tasks int, size int64) {
	if s.tokens == nil {
		return 0, 0
	}
	own := s.tokens.limitsOf(submitter)
	orDefault(&own.OpenTasks, s.cfg.Limits.OpenTasks)
	orDefault(&own.OpenBytes, s.cfg.Limits.OpenBytes)
	return own.OpenTasks, own.OpenBytes
}

func newSecret() string {
	b := make([]byte, secretBytes)
	_, _ = rand.Read(b) // never fails: it ends the process instead
	return secretPrefix + base64.RawURLEncoding.EncodeToString(b)
}

func validTokenName(name string) error {
	bad := strings.IndexFunc(name, func(c rune) bool { return !unicode.IsPrint(c) }) >= 0
	if name == "" || len(name) > maxTokenName || bad {
		return core.Errorf(core.Invalid, "name", "a token's name must have 1 to %d bytes of printable text", maxTokenName)
	}
	return nil
}

// refresh reads the file again when it is not the one that was read last. The
// caller holds mu.
func (t *Tokens) refresh() error {
	now, err := os.Lstat(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		t.seen, t.list = nil, nil
		return nil
	}
	if err != nil {
		return core.Errorf(core.Unavailable, "tokens", "looking at the token file: %w", err)
	}
	if t.seen != nil && os.SameFile(t.seen, now) && t.seen.ModTime().Equal(now.ModTime()) && t.seen.Size() == now.Size() && t.seen.Mode() == now.Mode() {
		return nil
	}
	list, read, err := readTokens(t.path)
	if err != nil {
		t.seen, t.list = nil, nil // a file that cannot be trusted admits nobody
		return err
	}
	t.seen, t.list = read, list
	return nil
}
