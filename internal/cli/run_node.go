package cli

import (
	"context"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/node"
)

// runNode builds the node and runs it until ctx ends.
func runNode(ctx context.Context, cfg node.Config, log zerolog.Logger) error {
	n, err := node.New(cfg, log)
	if err != nil {
		return err
	}
	return n.Run(ctx)
}
