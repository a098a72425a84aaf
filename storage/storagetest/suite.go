package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/storage"
)

// Suite tests what every storage.Store promises; open returns an empty one.
func Suite(t *testing.T, open func(*testing.T) storage.Store) {
	for name, test := range map[string]func(*testing.T, storage.Store){
		"what is put is got":               roundTrip,
		"the same bytes are one object":    same,
		"the largest object":               largest,
		"one byte too many":                tooLarge,
		"a reader that breaks":             brokenReader,
		"an unknown id":                    unknown,
		"deleted":                          deleted,
		"pages cover all, latest first":    pages,
		"a cursor or limit that is none":   badPage,
		"many at once, some of them equal": together,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func put(t *testing.T, s storage.Store, data []byte) storage.Info {
	t.Helper()
	info, _, err := s.Put(context.Background(), bytes.NewReader(data))
	if err != nil {
		t.Fatalf("Put of %d bytes: %v", len(data), err)
	}
	return info
}

func roundTrip(t *testing.T, s storage.Store) {
	for _, data := range []string{"", "x", "hello", strings.Repeat("0123456789", 20_000)} {
		info, created, err := s.Put(context.Background(), iotest.OneByteReader(strings.NewReader(data)))
		if err != nil || !created || info.ID != core.ObjectOf([]byte(data)) || info.Size != int64(len(data)) {
			t.Fatalf("Put of %d bytes = %+v, %t, %v", len(data), info, created, err)
		}
		if !info.Expires.After(info.Used) || info.Copy {
			t.Errorf("Put says %+v: it is no copy and is kept for a while", info)
		}
		got, back, err := s.Get(context.Background(), info.ID)
		if err != nil || string(back) != data || got.ID != info.ID || got.Size != info.Size {
			t.Errorf("Get = %+v, %d bytes, %v", got, len(back), err)
		}
	}
}

func same(t *testing.T, s storage.Store) {
	put(t, s, []byte("a"))
	if _, created, err := s.Put(context.Background(), strings.NewReader("a")); created || err != nil {
		t.Errorf("the second Put = created %t, %v", created, err)
	}
	page, err := s.List(context.Background(), "", 10)
	if err != nil || len(page.Objects) != 1 {
		t.Errorf("List = %+v, %v, want one object", page, err)
	}
}

func largest(t *testing.T, s storage.Store) {
	data := bytes.Repeat([]byte{7}, storage.MaxObjectBytes)
	if _, back, err := s.Get(context.Background(), put(t, s, data).ID); err != nil || !bytes.Equal(back, data) {
		t.Errorf("Get = %d bytes, %v", len(back), err)
	}
}

func tooLarge(t *testing.T, s storage.Store) {
	_, _, err := s.Put(context.Background(), io.LimitReader(zeros{}, storage.MaxObjectBytes+1))
	if core.KindOf(err) != core.Exhausted {
		t.Errorf("Put = %v, want exhausted", err)
	}
	empty(t, s)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func empty(t *testing.T, s storage.Store) {
	t.Helper()
	if page, err := s.List(context.Background(), "", 10); err != nil || len(page.Objects) > 0 || page.Next != "" || page.Objects == nil {
		t.Errorf("List = %+v, %v, want an empty page", page, err)
	}
}

func brokenReader(t *testing.T, s storage.Store) {
	gone := errors.New("the client is gone")
	r := io.MultiReader(strings.NewReader("half of it"), iotest.ErrReader(gone))
	if _, _, err := s.Put(context.Background(), r); !errors.Is(err, gone) {
		t.Errorf("Put = %v, want the reader's own error", err)
	}
	empty(t, s)
}

func unknown(t *testing.T, s storage.Store) {
	id := core.ObjectOf([]byte("never put"))
	_, _, getErr := s.Get(context.Background(), id)
	for what, err := range map[string]error{"Get": getErr, "Delete": s.Delete(context.Background(), id)} {
		if core.KindOf(err) != core.NotFound {
			t.Errorf("%s = %v, want not_found", what, err)
		}
	}
}

func deleted(t *testing.T, s storage.Store) {
	id := put(t, s, []byte("a")).ID
	if err := s.Delete(context.Background(), id); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Get(context.Background(), id); core.KindOf(err) != core.NotFound {
		t.Errorf("Get = %v, want not_found", err)
	}
	empty(t, s)
	if _, created, err := s.Put(context.Background(), strings.NewReader("a")); !created || err != nil {
		t.Errorf("put again: created %t, %v", created, err)
	}
}

func pages(t *testing.T, s storage.Store) {
	for i := range 7 {
		put(t, s, fmt.Append(nil, i))
	}
	seen, after := map[core.ObjectID]bool{}, ""
	for n := 0; ; n++ {
		page, err := s.List(context.Background(), after, 3)
		if err != nil || len(page.Objects) > 3 || n > 3 {
			t.Fatalf("page %d = %+v, %v", n, page, err)
		}
		for i, o := range page.Objects {
			if seen[o.ID] || i > 0 && o.Used.After(page.Objects[i-1].Used) {
				t.Errorf("page %d has %s twice or out of order", n, o.ID)
			}
			seen[o.ID] = true
		}
		if after = page.Next; after == "" {
			break
		}
	}
	if len(seen) != 7 {
		t.Errorf("the pages have %d objects, want 7", len(seen))
	}
}

func badPage(t *testing.T, s storage.Store) {
	for name, c := range map[string]struct {
		after string
		limit int
	}{"no limit": {"", 0}, "too many": {"", storage.MaxPage + 1}, "no cursor": {"yesterday", 10}, "half a cursor": {"17-ab", 10}} {
		if _, err := s.List(context.Background(), c.after, c.limit); core.KindOf(err) != core.Invalid {
			t.Errorf("%s: List = %v, want invalid", name, err)
		}
	}
}

func together(t *testing.T, s storage.Store) {
	errs := make(chan error, 64)
	for i := range cap(errs) {
		go func() {
			data := fmt.Append(nil, i%16)
			info, _, err := s.Put(context.Background(), bytes.NewReader(data))
			if err == nil {
				var back []byte
				if _, back, err = s.Get(context.Background(), info.ID); err == nil && !bytes.Equal(back, data) {
					err = fmt.Errorf("got %q for %q", back, data)
				}
			}
			errs <- err
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if page, err := s.List(context.Background(), "", 100); err != nil || len(page.Objects) != 16 {
		t.Errorf("List = %d objects, %v, want 16", len(page.Objects), err)
	}
}
