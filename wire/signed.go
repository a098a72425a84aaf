package wire

import (
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/keys"
)

// DomainReward binds a signature to being a JobReward and nothing else.
const DomainReward keys.Domain = "tenzro/reward/1"

// SignAd makes s the author of ad: it sets NodeID and Signature.
func SignAd(s keys.Signer, ad *Ad) error {
	ad.NodeID = s.ID()
	msg, err := adSigned(ad)
	if err != nil {
		return err
	}
	ad.Signature = s.Sign(keys.DomainAd, msg)
	return nil
}

// VerifyAd checks that the node named in ad signed it. Denied when it did not.
// Neither the clock nor the sequence is looked at.
func VerifyAd(ad *Ad) error {
	msg, err := adSigned(ad)
	if err != nil {
		return err
	}
	return forged("signature", keys.Verify(ad.NodeID, keys.DomainAd, ad.Signature, msg))
}

// adSigned is what an ad's signature covers: its compact JSON without the
// signature.
func adSigned(ad *Ad) ([]byte, error) {
	bare := *ad
	bare.Signature = nil
	return marshal(&bare, 0)
}

// SignReward makes s the coordinator that grants r: it sets Coordinator and
// Signature.
func SignReward(s keys.Signer, r *JobReward) error {
	r.Coordinator = s.ID()
	msg, err := rewardSigned(r)
	if err != nil {
		return err
	}
	r.Signature = s.Sign(DomainReward, msg)
	return nil
}

// VerifyReward checks that the coordinator named in r signed it. Denied when it
// did not.
func VerifyReward(r *JobReward) error {
	msg, err := rewardSigned(r)
	if err != nil {
		return err
	}
	return forged("signature", keys.Verify(r.Coordinator, DomainReward, r.Signature, msg))
}

// rewardSigned is what a reward's signature covers: its compact JSON with a null
// signature.
func rewardSigned(r *JobReward) ([]byte, error) {
	bare := *r
	bare.Signature = nil
	return marshal(&bare, 0)
}

// forged gives a failed verification its kind, whatever the reason was.
func forged(field string, err error) error {
	if err == nil {
		return nil
	}
	return core.Errorf(core.Denied, field, "%s is not valid: %w", field, err)
}
