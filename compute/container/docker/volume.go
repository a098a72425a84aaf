package docker

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/tenzro/tenzro/core"
)

// CreateVolume makes an empty volume on the engine's own disk.
func (c *Client) CreateVolume(ctx context.Context, name string, labels map[string]string) error {
	return c.call(ctx, http.MethodPost, "/volumes/create", nil, struct {
		Name   string            `json:"Name"`
		Driver string            `json:"Driver"`
		Labels map[string]string `json:"Labels"`
	}{name, "local", labels}, nil)
}

// RemoveVolume removes a volume. One that is not there is fine.
func (c *Client) RemoveVolume(ctx context.Context, name string) error {
	err := c.call(ctx, http.MethodDelete, "/volumes/"+url.PathEscape(name), nil, nil, nil)
	if errors.Is(err, core.NotFound) {
		return nil
	}
	return err
}

// Volumes returns the names of all volumes with a label.
func (c *Client) Volumes(ctx context.Context, label, value string) (names []string, err error) {
	var all struct {
		Volumes []struct {
			Name string `json:"Name"`
		} `json:"Volumes"`
	}
	err = c.call(ctx, http.MethodGet, "/volumes", url.Values{"filters": {labelled(label, value)}}, nil, &all)
	for _, one := range all.Volumes {
		if !isName(one.Name) {
			return nil, corrupt("/volumes", "a name that is none")
		}
		names = append(names, one.Name)
	}
	return names, err
}
