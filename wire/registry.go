package wire

import "reflect"

// entry is what the codec knows about one type.
type entry struct {
	empty func() Body
	limit int          // bytes of the encoded body
	of    reflect.Type // pointer to the message
	shape *shape       // its keys, all the way down
}

// registry maps every type to its entry. It is built once and never changes.
//
//archtest:constant
var registry = newRegistry()

func newRegistry() map[Type]entry {
	out := map[Type]entry{}
	for _, t := range Types() {
		empty, limit := describe(t)
		of := reflect.TypeOf(empty())
		out[t] = entry{empty, limit, of, shapeOf(of.Elem())}
	}
	return out
}

// Types returns every type of this version, in the order of the specification.
func Types() []Type {
	return []Type{TypeHello, TypePull, TypeJobOffer, TypeJobAccept, TypeJobReject, TypeLeaseRenew, TypeLeaseRevoke,
		TypeJobResult, TypeJobVerify, TypeJobReward, TypeJobQuery, TypeJobState, TypeAdopt, TypeClaim, TypeCoordinators,
		TypeAd, TypeAnnouncement, TypeCapabilities, TypeSummary, TypeDigests, TypeReputation, TypeHealth, TypeProposal, TypeVote}
}

// New returns an empty message of type t, and false when t is unknown.
func New(t Type) (Body, bool) {
	e, ok := registry[t]
	if !ok {
		return nil, false
	}
	return e.empty(), true
}

// Limit returns the largest encoded body of type t in bytes, 0 when t is unknown.
func Limit(t Type) int { return registry[t].limit }

// describe is the table: what a type decodes into and how big it may be. The
// limits hold the largest body that Validate allows with its payload by
// reference; a payload inside takes what is left.
func describe(t Type) (func() Body, int) {
	switch t {
	case TypeHello:
		return func() Body { return new(Hello) }, 16 << 10
	case TypePull:
		return func() Body { return new(Pull) }, 1 << 10
	case TypeJobOffer:
		return func() Body { return new(JobOffer) }, MaxBody
	case TypeJobAccept:
		return func() Body { return new(JobAccept) }, 1 << 10
	case TypeJobReject:
		return func() Body { return new(JobReject) }, 8 << 10
	case TypeLeaseRenew:
		return func() Body { return new(LeaseRenew) }, 1 << 10
	case TypeLeaseRevoke:
		return func() Body { return new(LeaseRevoke) }, 1 << 10
	case TypeJobResult:
		return func() Body { return new(JobResult) }, MaxBody
	case TypeJobVerify:
		return func() Body { return new(JobVerify) }, 8 << 10
	case TypeJobReward:
		return func() Body { return new(JobReward) }, MaxBody
	case TypeJobQuery:
		return func() Body { return new(JobQuery) }, 1 << 10
	case TypeJobState:
		return func() Body { return new(JobState) }, MaxBody
	case TypeAdopt:
		return func() Body { return new(Adopt) }, 1 << 10
	case TypeClaim:
		return func() Body { return new(Claim) }, 48 << 10
	case TypeCoordinators:
		return func() Body { return new(Coordinators) }, 2 << 10
	}
	return describeTopic(t)
}

// describeTopic is the half of the table that travels by gossip.
func describeTopic(t Type) (func() Body, int) {
	switch t {
	case TypeAd:
		return func() Body { return new(Ad) }, 15 << 10
	case TypeAnnouncement:
		return func() Body { return new(JobAnnouncement) }, 1 << 10
	case TypeCapabilities:
		return func() Body { return new(WorkerCapabilities) }, 16 << 10
	case TypeSummary:
		return func() Body { return new(RegionSummary) }, 4 << 10
	case TypeDigests:
		return func() Body { return new(ResultDigests) }, 32 << 10
	case TypeReputation:
		return func() Body { return new(ReputationUpdate) }, 1 << 10
	case TypeHealth:
		return func() Body { return new(Health) }, 4 << 10
	case TypeProposal:
		return func() Body { return new(AggregationProposal) }, 2 << 10
	case TypeVote:
		return func() Body { return new(AggregationVote) }, 20 << 10
	}
	return nil, 0
}
