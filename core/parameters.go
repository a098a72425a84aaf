package core

// Parameters are the rules a network runs under, for those who want to join it or
// to understand what it did: the documents' NetworkParameterManager. Times are in
// milliseconds.
type Parameters struct {
	Network     NetworkID      `json:"network"`
	MinPeers    int            `json:"minPeers"` // on the internet; 1 among private addresses
	HeartbeatMS int64          `json:"heartbeatMs"`
	MissedBeats int            `json:"missedBeats"` // until a node is offline
	Jobs        JobRules       `json:"jobs"`
	Reputation  ReputationRule `json:"reputation"`
	Validators  ValidatorRules `json:"validators"`
}

// JobRules are the bounds of tasks and leases.
type JobRules struct {
	OfferTTLMS     int64 `json:"offerTtlMs"`
	LeaseTTLMS     int64 `json:"leaseTtlMs"`
	Attempts       int   `json:"attempts"`
	MaxTaskBytes   int   `json:"maxTaskBytes"`
	MaxInlineBytes int   `json:"maxInlineBytes"`
	MaxSubtasks    int   `json:"maxSubtasks"`
	QueueTimeoutMS int64 `json:"queueTimeoutMs"`
	TimeoutMS      int64 `json:"timeoutMs"`
}

// ReputationRule is how reputation moves and what it costs to lose it.
type ReputationRule struct {
	Start        int   `json:"start"`
	ExcludeBelow int   `json:"excludeBelow"`
	InvalidProof int   `json:"invalidProof"`
	LeaseLost    int   `json:"leaseLost"`
	Verified     int   `json:"verified"`
	CooldownMS   int64 `json:"cooldownMs"`
}

// ValidatorRules are what a node must be to validate results: a regional node of
// good standing. A stake will be asked for where there is a ledger.
type ValidatorRules struct {
	Role          string `json:"role"`
	MinReputation int    `json:"minReputation"`
	StakeRequired bool   `json:"stakeRequired"`
}
