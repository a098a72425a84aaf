package global_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/tenzro/tenzro/roles/global"
)

// TestParameters: whoever wants to join or to audit a network can read its rules
// and what a validator must be.
//
// spec 0.8 4.63 4.64
func TestParameters(t *testing.T) {
	text, err := json.Marshal(global.NewParameters("testnet", 3, 0))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"network":"testnet","minPeers":3,"heartbeatMs":30000,"missedBeats":3,` +
		`"jobs":{"offerTtlMs":1000,"leaseTtlMs":15000,"attempts":4,"maxTaskBytes":10485760,"maxInlineBytes":32768,"maxSubtasks":4096,` +
		`"queueTimeoutMs":30000,"timeoutMs":600000},` +
		`"reputation":{"start":50,"excludeBelow":20,"invalidProof":-10,"leaseLost":-1,"verified":1,"cooldownMs":300000},` +
		`"validators":{"role":"regional","minReputation":20,"stakeRequired":false}}`
	if string(text) != want {
		t.Errorf("parameters are\n%s\nwant\n%s", text, want)
	}
	if p := global.NewParameters("testnet", 3, 2*time.Second); p.Jobs.LeaseTTLMS != 2000 {
		t.Errorf("a configured lease of 2 s is shown as %d ms", p.Jobs.LeaseTTLMS)
	}
}
