package node

import (
	"os"
	"path/filepath"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/keys"
)

// Recover makes the stopped node of a home the only coordinator of a region after
// most of them were lost for good. What only the others knew is lost, and they
// must never come back with their old homes. core.Exists while the node runs,
// core.NotFound when it never kept the region.
func Recover(home string, region core.RegionID, log zerolog.Logger) error {
	dir := filepath.Join(home, JournalsDir, string(region))
	if _, err := os.Stat(dir); err != nil {
		return core.Errorf(core.NotFound, "region", "there is no journal of region %s in %s", region, home).
			WithHint("name the home and the region of a coordinator")
	}
	lock, err := lockHome(filepath.Join(home, LockFile))
	if err != nil {
		return err
	}
	defer lock.Close()
	id, err := keys.Load(filepath.Join(home, KeyFile))
	if err != nil {
		return err
	}
	return journal.Recover(dir, id.ID(), log)
}
