package docker

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/tenzro/tenzro/core"
)

// Image is what an engine says of an image that it has.
type Image struct {
	ID          string   `json:"Id"`          // "sha256:" and 64 hex digits
	RepoDigests []string `json:"RepoDigests"` // "name@sha256:..."
	OS          string   `json:"Os"`
	Arch        string   `json:"Architecture"`
	Config      struct {
		Volumes map[string]struct{} `json:"Volumes"` // what the image wants to be writable
	} `json:"Config"`
}

// Image looks an image up by what names it. The error is core.NotFound when the engine
// has none.
func (c *Client) Image(ctx context.Context, ref string) (Image, error) {
	var i Image
	err := c.call(ctx, http.MethodGet, "/images/"+ref+"/json", nil, nil, &i)
	return i, err
}

// Pull has the engine fetch an image by its digest from the registry that its name
// says, and blocks until that is done, failed, or ctx ends.
func (c *Client) Pull(ctx context.Context, name, digest string) error {
	const path = "/images/create"
	resp, err := c.roundTrip(ctx, http.MethodPost, path, url.Values{"fromImage": {name}, "tag": {digest}}, "", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		return refused(path, resp.StatusCode, text)
	}
	return pulled(io.LimitReader(resp.Body, maxProgress))
}

// maxProgress bounds what an engine may tell of one pull.
const maxProgress = 64 << 20

// pulled reads the messages of a pull to their end: one of them may be an error.
func pulled(r io.Reader) error {
	d := json.NewDecoder(r)
	for {
		var said struct {
			Error string `json:"error"`
		}
		err := d.Decode(&said)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return corrupt("/images/create", "progress that cannot be read: %v", err)
		case said.Error != "":
			return core.Errorf(core.Unavailable, "engine/images/create", "the image cannot be pulled: %s", printable(said.Error))
		}
	}
}
