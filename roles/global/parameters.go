package global

import (
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/registry"
	"github.com/tenzro/tenzro/wire"
)

// NewParameters returns the rules of a network whose leases live for leaseTTL; 0
// means the default.
func NewParameters(network core.NetworkID, minPeers int, leaseTTL time.Duration) core.Parameters {
	limits := jobs.Limits{LeaseTTL: leaseTTL}.WithDefaults()
	return core.Parameters{
		Network: network, MinPeers: minPeers, HeartbeatMS: registry.DefaultHeartbeat.Milliseconds(), MissedBeats: registry.DefaultMissed,
		Jobs: core.JobRules{OfferTTLMS: limits.OfferTTL.Milliseconds(), LeaseTTLMS: limits.LeaseTTL.Milliseconds(), Attempts: limits.Attempts,
			MaxTaskBytes: core.MaxTaskBytes, MaxInlineBytes: wire.MaxInline, MaxSubtasks: core.MaxParallelism,
			QueueTimeoutMS: core.DefaultQueueTimeout.Milliseconds(), TimeoutMS: core.DefaultTimeout.Milliseconds()},
		Reputation: core.ReputationRule{Start: registry.StartScore, ExcludeBelow: registry.ExcludeBelow, InvalidProof: registry.InvalidProof,
			LeaseLost: registry.LeaseLost, Verified: registry.Verified, CooldownMS: registry.Cooldown.Milliseconds()},
		Validators: core.ValidatorRules{Role: core.Regional.String(), MinReputation: registry.ExcludeBelow},
	}
}
