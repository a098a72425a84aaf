package client

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/storage"
)

const (
	// ObjectsPath is the path of a node's objects.
	ObjectsPath = "/api/v1/objects"
	typeBytes   = "application/octet-stream"
)

func objectPath(id core.ObjectID) string { return ObjectsPath + "/" + id.String() }

// PutObject uploads an object and returns what the node says of it.
func (c *Client) PutObject(ctx context.Context, data []byte) (json.RawMessage, error) {
	req, err := c.request(ctx, http.MethodPost, ObjectsPath, nil, data)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", typeBytes)
	answer, err := c.checked(c.send(req, transferTimeout))
	var info storage.Info
	if err := decode(&info)(answer, err); err != nil {
		return nil, err
	}
	if info.ID != core.ObjectOf(data) {
		return nil, core.Errorf(core.Corrupt, "upload", "%s has stored other bytes than were sent", c.Base()).WithHint("upload them again")
	}
	return answer, nil
}

// HasObject reports whether the node has an object, or gets it from another one.
func (c *Client) HasObject(ctx context.Context, id core.ObjectID) bool {
	_, err := c.object(ctx, http.MethodHead, id)
	return err == nil
}

// Object returns the bytes of an object, which are those that the id says.
func (c *Client) Object(ctx context.Context, id core.ObjectID) ([]byte, error) {
	data, err := c.object(ctx, http.MethodGet, id)
	if err == nil && core.ObjectOf(data) != id {
		return nil, core.Errorf(core.Corrupt, "read answer", "%s answered with bytes that are not those of object %s", c.Base(), id).
			WithHint("ask another node with --api")
	}
	return data, err
}

// DeleteObject removes an object from the node.
func (c *Client) DeleteObject(ctx context.Context, id core.ObjectID) error {
	_, err := c.object(ctx, http.MethodDelete, id)
	return err
}

// object makes one request about an object.
func (c *Client) object(ctx context.Context, method string, id core.ObjectID) ([]byte, error) {
	req, err := c.request(ctx, method, objectPath(id), nil, nil)
	if err != nil {
		return nil, err
	}
	resp, answer, err := c.send(req, transferTimeout)
	if err == nil && resp.StatusCode/100 != 2 {
		err = problem(resp, answer)
	}
	return answer, err
}
