package journal

import (
	"errors"

	"github.com/hashicorp/raft"
	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
)

// Recover makes the node of a directory the only voter of its group, after the
// majority was lost for good. It must not run while the node does, and the others
// must never come back with their old journals: what only they acknowledged is
// lost, and this cannot be undone.
func Recover(dir string, self core.NodeID, log zerolog.Logger) error {
	have, err := readOwner(dir)
	if err != nil {
		return core.Errorf(core.NotFound, "dir", "there is no journal in %s: %w", dir, err)
	}
	have.node = self
	g := &Group{cfg: GroupConfig{Dir: dir, Self: self, Region: have.region, Network: have.network}.withDefaults(), log: log}
	if g.lock, err = claimDir(dir, have); err != nil {
		return err
	}
	if err = g.open(); err == nil {
		err = g.recover()
	}
	return errors.Join(err, g.release())
}

func (g *Group) recover() error {
	if some, err := raft.HasExistingState(g.store, g.store, g.snaps); err != nil || !some {
		return errors.Join(core.Errorf(core.NotFound, "dir", "the journal in %s is empty: there is nothing to recover", g.cfg.Dir), err)
	}
	g.log.Error().Str("region", string(g.cfg.Region)).Str("node", string(g.cfg.Self)).
		Msg("this node becomes the only voter of its region; what only the others acknowledged is lost, and they must not come back with their journals")
	_, trans := raft.NewInmemTransport(raft.ServerAddress(g.cfg.Self))
	defer trans.Close()
	one := raft.Configuration{Servers: []raft.Server{g.server(g.cfg.Self)}}
	if err := raft.RecoverCluster(g.raftConfig(nil), g.m, g.store, g.store, g.snaps, trans, one); err != nil {
		return core.Errorf(core.Corrupt, "journal", "recovering the journal in %s: %w", g.cfg.Dir, err)
	}
	return g.m.failed()
}
