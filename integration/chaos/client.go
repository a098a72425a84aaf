package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/tenzro/tenzro/core"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 16 << 20

// call sends one request to a node.
func (n *Node) call(ctx context.Context, method, path, key string, body []byte, within time.Duration) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, n.url(path), bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := n.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return resp.StatusCode, text, err
}

func (n *Node) get(ctx context.Context, path string, within time.Duration) (int, []byte, error) {
	return n.call(ctx, http.MethodGet, path, "", nil, within)
}

// read decodes a good answer.
func (n *Node) read(ctx context.Context, path string, out any) error {
	status, text, err := n.get(ctx, path, callLimit)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("%s of %s answers %d: %.300s", path, n.Name, status, text)
	}
	return json.Unmarshal(text, out)
}

// callLimit is how long a node that lives may take to answer.
const callLimit = 10 * time.Second

// askLimit is how long a question may take beside the wait it asks for: asking
// again costs nothing, so that a client gives up on a frozen node sooner.
const askLimit = 3 * time.Second

// submit hands in a job; a status that is no success comes back as it is.
func (n *Node) submit(ctx context.Context, key string, body []byte) (int, core.TaskID, string, error) {
	status, text, err := n.call(ctx, http.MethodPost, "/api/v1/tasks", key, body, callLimit)
	if err != nil {
		return 0, "", "", err
	}
	var got struct {
		TaskID core.TaskID `json:"taskId"`
		Code   string      `json:"code"`
		Detail string      `json:"detail"`
	}
	if err := json.Unmarshal(text, &got); err != nil {
		return status, "", "", fmt.Errorf("%s answers %d with what does not decode: %w", n.Name, status, err)
	}
	return status, got.TaskID, got.Code + ": " + got.Detail, nil
}

// result asks how a job ended, waiting for its end that long at most.
func (n *Node) result(ctx context.Context, id core.TaskID, wait time.Duration) (int, core.TaskResult, error) {
	var r core.TaskResult
	status, text, err := n.get(ctx, fmt.Sprintf("/api/v1/tasks/%s/result?wait=%s", id, wait), wait+askLimit)
	if err == nil && status == http.StatusOK {
		err = json.Unmarshal(text, &r)
	}
	return status, r, err
}

func (n *Node) status(ctx context.Context, id core.TaskID) (core.TaskStatus, error) {
	var s core.TaskStatus
	err := n.read(ctx, "/api/v1/tasks/"+string(id), &s)
	return s, err
}
