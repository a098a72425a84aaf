package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/storage"
)

const (
	tagObjects  = "objects"
	objectsPath = "/api/v1/objects"
	objectPath  = objectsPath + "/{objectId}"
	// codeNoObject is the code of problems about an object that is nowhere.
	codeNoObject = "object_not_found"
	// fetchTimeout is how long other nodes may be asked for an object.
	fetchTimeout = 30 * time.Second
	// maxResolving is how many tasks may have their objects put in place at once.
	maxResolving = 16
)

func (s *Server) objectRoutes() []*route {
	one := func(v any) map[int][]any { return map[int][]any{http.StatusOK: {v}} }
	return []*route{
		{method: http.MethodPost, path: objectsPath, tag: tagObjects, serve: s.putObject, in: []any{""}, takes: typeBytes,
			summary: "Keep bytes, of any content type, for tasks to name", out: map[int][]any{http.StatusOK: {storage.Info{}}, http.StatusCreated: {storage.Info{}}}},
		{method: http.MethodGet, path: objectsPath, tag: tagObjects, serve: s.listObjects, summary: "The objects of this node, those used last first", out: one(storage.Page{}),
			params: []param{{inQuery, "limit", "1 to 1000, default 100"}, {inQuery, "after", "the next of the page before"}}},
		{method: http.MethodGet, path: objectPath, tag: tagObjects, serve: s.getObject, media: []string{typeBytes},
			summary: "The bytes of an object, wherever in the network they are; also a range of them, and HEAD",
			params:  []param{{inHeader, "Range", "one range of bytes, such as bytes=0-1023"}, {inHeader, "If-None-Match", "the ETag that is known"}},
			out:     map[int][]any{http.StatusOK: {""}, http.StatusPartialContent: {""}, http.StatusNotModified: nil}},
		{method: http.MethodDelete, path: objectPath, tag: tagObjects, serve: s.deleteObject, summary: "Remove an object from this node; tasks that were taken have its bytes",
			out: map[int][]any{http.StatusNoContent: nil}},
	}
}

// upload is the body of a request that remembers its own error, so that it is told
// from one of the store.
type upload struct {
	io.Reader
	err error
}

// Read implements io.Reader.
func (u *upload) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	if err != nil && err != io.EOF {
		u.err = err
	}
	return n, err
}

func (s *Server) putObject(x *exchange) error {
	const limit = storage.MaxObjectBytes
	if x.r.ContentLength > limit {
		return tooLarge(limit)
	}
	size := x.r.ContentLength
	if size < 0 {
		size = limit // chunked: nobody knows yet
	}
	x.allowUpload(size)
	body := &upload{Reader: http.MaxBytesReader(x.ResponseWriter, x.r.Body, limit)}
	info, created, err := s.deps.Objects.Put(x.r.Context(), body)
	switch {
	case body.err != nil:
		return bodyError(body.err, limit)
	case err != nil:
		return err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	x.Header().Set("Location", objectsPath+"/"+info.ID.String())
	return x.json(status, info)
}

// allowUpload lets a body of n bytes come over a slow link.
func (x *exchange) allowUpload(n int64) {
	until := time.Now().Add(readTimeout + time.Duration(n/slowLink)*time.Second)
	rc := http.NewResponseController(x.ResponseWriter)
	_ = rc.SetReadDeadline(until) // a recorder in a test has no deadlines
	_ = rc.SetWriteDeadline(until.Add(writeTimeout))
}

func (s *Server) listObjects(x *exchange) error {
	limit := defaultLimit
	if v := x.query.Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			return core.Errorf(core.Invalid, "limit", "limit %.20q is not a number", v)
		}
		limit = n
	}
	page, err := s.deps.Objects.List(x.r.Context(), x.query.Get("after"), limit)
	if err != nil {
		return err
	}
	page.Objects = list(page.Objects)
	return x.json(http.StatusOK, page)
}

func (x *exchange) objectID() (core.ObjectID, error) {
	return core.ParseObjectID(x.r.PathValue("objectId"))
}

// getObject answers with bytes that never change under their path. What another node
// has is fetched first.
func (s *Server) getObject(x *exchange) error {
	id, err := x.objectID()
	if err != nil {
		return err
	}
	if err := s.holdMemory(x, storage.MaxObjectBytes); err != nil {
		return err
	}
	x.extend(fetchTimeout + writeTimeout)
	ctx, cancel := context.WithTimeout(x.r.Context(), fetchTimeout)
	defer cancel()
	info, data, err := s.deps.Objects.Get(ctx, id)
	if err != nil {
		return noObject(err, http.StatusNotFound)
	}
	s.needMemory(x, info.Size)
	if err := x.checkRange(info.Size); err != nil {
		return err
	}
	x.extend(writeTimeout + time.Duration(info.Size/slowLink)*time.Second)
	h := x.Header()
	h.Set("Content-Type", typeBytes)
	h.Set("Cache-Control", "private, no-cache")
	h.Set("ETag", `"`+id.String()+`"`)
	http.ServeContent(x, x.r, "", time.Time{}, bytes.NewReader(data))
	return nil
}

// checkRange leaves one range that can be served to the http package. Any other is
// ignored, as the standard allows, but for one that begins behind the end. Conditions
// on bytes that cannot change are met.
func (x *exchange) checkRange(size int64) error {
	x.r.Header.Del("If-Match")
	x.r.Header.Del("If-Unmodified-Since")
	spec, isBytes := strings.CutPrefix(x.r.Header.Get("Range"), "bytes=")
	first, last, isRange := strings.Cut(spec, "-")
	from, fromErr := strconv.ParseUint(first, 10, 62)
	to, toErr := strconv.ParseUint(last, 10, 62)
	suffix := first == "" && toErr == nil && to > 0 && size > 0
	whole := fromErr == nil && (last == "" || toErr == nil && to >= from)
	switch {
	case !isBytes || !isRange || !suffix && !whole:
		x.r.Header.Del("Range")
	case whole && int64(from) >= size:
		x.Header().Set("Content-Range", "bytes */"+strconv.FormatInt(size, 10))
		return refuse(http.StatusRequestedRangeNotSatisfiable, "range", "the object has "+strconv.FormatInt(size, 10)+" bytes", "ask for a range that begins before the end")
	}
	return nil
}

func (s *Server) deleteObject(x *exchange) error {
	id, err := x.objectID()
	if err != nil {
		return err
	}
	if err := s.deps.Objects.Delete(x.r.Context(), id); err != nil {
		return noObject(err, http.StatusNotFound)
	}
	x.WriteHeader(http.StatusNoContent)
	return nil
}

// noObject gives an object that is nowhere the code of its own.
func noObject(err error, status int) error {
	if core.KindOf(err) != core.NotFound {
		return err
	}
	p := problemOf(err)
	return refuse(status, codeNoObject, p.Detail, p.Hint)
}

// resolved is the task with objects in place of what names them: behind this door
// nobody has to know of them. The memory for it is held until the exchange gives it
// back.
func (s *Server) resolved(x *exchange, spec core.TaskSpec) (core.TaskSpec, error) {
	if !compute.MayRefer(spec.Data) {
		return spec, nil
	}
	x.extend(fetchTimeout + writeTimeout)
	ctx, cancel := context.WithTimeout(x.r.Context(), fetchTimeout)
	defer cancel()
	select {
	case s.resolving <- struct{}{}:
		defer func() { <-s.resolving }()
	case <-ctx.Done():
		return spec, core.Errorf(core.Exhausted, "objects", "the objects of %d other tasks are being put in place", maxResolving).WithHint("submit again in a moment")
	}
	before := x.held
	if err := s.holdMemory(x, core.MaxTaskBytes); err != nil {
		return spec, err
	}
	resolved, err := s.deps.Objects.Resolve(ctx, spec)
	var e *core.Error
	switch {
	case err == nil:
		s.needMemory(x, before+int64(len(resolved.Data)))
		return resolved, nil
	case errors.As(err, &e) && e.Kind == core.Exhausted && e.Op == "data":
		p := refuse(http.StatusRequestEntityTooLarge, "too_large", e.Error(), e.Hint)
		p.Field = e.Op
		return spec, p
	}
	return spec, noObject(err, http.StatusUnprocessableEntity)
}
