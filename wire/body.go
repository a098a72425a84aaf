package wire

import (
	"github.com/tenzro/tenzro/core"
)

// Type names a message on the wire: snake_case, the documents' frame names in
// lower case.
type Type string

// Body is one message. Validate checks every bound the codec cannot see and
// names the field that is wrong; it has no other behaviour.
type Body interface {
	Type() Type
	Validate() error
}

// The types. Registry maps each to its struct and its largest encoded size.
const (
	TypeHello        Type = "hello"
	TypePull         Type = "pull"
	TypeJobOffer     Type = "job_offer"
	TypeJobAccept    Type = "job_accept"
	TypeJobReject    Type = "job_reject"
	TypeLeaseRenew   Type = "lease_renew"
	TypeLeaseRevoke  Type = "lease_revoke"
	TypeJobResult    Type = "job_result"
	TypeJobVerify    Type = "job_verify"
	TypeJobReward    Type = "job_reward"
	TypeJobQuery     Type = "job_query"
	TypeJobState     Type = "job_state"
	TypeAdopt        Type = "adopt"
	TypeClaim        Type = "claim"
	TypeCoordinators Type = "coordinators"
	TypeAd           Type = "ad"
	TypeAnnouncement Type = "job_announcement"
	TypeCapabilities Type = "worker_capabilities"
	TypeSummary      Type = "region_summary"
	TypeDigests      Type = "result_digests"
	TypeReputation   Type = "reputation_update"
	TypeHealth       Type = "health"
	TypeProposal     Type = "aggregation_proposal"
	TypeVote         Type = "aggregation_vote"
)

func invalid(field, format string, args ...any) error {
	return core.Errorf(core.Invalid, field, field+" "+format, args...)
}

func validNode(field string, id core.NodeID) error {
	if len(id) == 0 || len(id) > 64 {
		return invalid(field, "has %d characters; a node id has 1 to 64", len(id))
	}
	return nil
}

func validTask(field string, id core.TaskID) error {
	if _, err := core.ParseTaskID(string(id)); err != nil {
		return invalid(field, "%.40q is not a task id", id)
	}
	return nil
}

func validText(field, s string, most int) error {
	if len(s) > most {
		return invalid(field, "has %d bytes; at most %d", len(s), most)
	}
	return nil
}

// validNames checks a list of short words: roles, runtimes, accelerators.
func validNames[T ~string](field string, names []T, most int) error {
	if len(names) > most {
		return invalid(field, "has %d entries; at most %d", len(names), most)
	}
	for _, n := range names {
		if len(n) > maxName {
			return invalid(field, "has an entry of %d bytes; at most %d", len(n), maxName)
		}
	}
	return nil
}

func validNodes(field string, ids []core.NodeID, most int) error {
	if len(ids) > most {
		return invalid(field, "has %d entries; at most %d", len(ids), most)
	}
	for _, id := range ids {
		if err := validNode(field, id); err != nil {
			return err
		}
	}
	return nil
}

// validRegion checks a region that may be empty: not chosen yet.
func validRegion(field string, r core.RegionID) error {
	if r != "" && badRegion(r) {
		return invalid(field, "%.40q is not a region", r)
	}
	return nil
}

func validRegions(field string, regions []core.RegionID) error {
	if len(regions) > maxRegions {
		return invalid(field, "has %d entries; at most %d", len(regions), maxRegions)
	}
	for _, r := range regions {
		if badRegion(r) {
			return invalid(field, "has %.40q, which is not a region", r)
		}
	}
	return nil
}

// validSignature checks the length only; a signature may still be missing.
func validSignature(sig []byte) error {
	if len(sig) != 0 && len(sig) != 64 {
		return invalid("signature", "has %d bytes, not 64", len(sig))
	}
	return nil
}

func validFailure(field string, f *core.Failure) error {
	if f == nil {
		return nil
	}
	return firstError(validText(field+".reason", string(f.Reason), 40), validText(field+".message", f.Message, maxMessage))
}

func validProofs(field string, proofs []core.Proof) error {
	places := 0
	for _, p := range proofs {
		if places += p.Places(); places > core.MaxProofsShown {
			return invalid(field, "has %d entries; at most %d, of which one with an inclusion counts as two", len(proofs), core.MaxProofsShown)
		}
		if err := p.Validate(); err != nil {
			return within(field, err)
		}
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
