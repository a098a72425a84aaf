// Package integration tests whole networks: real processes on loopback, whole
// nodes by the hundred in one process, and a hundred hosts on virtual time.
//
// It holds no product code and no test of one package alone: what is here needs
// several nodes, a real process, or the binary a user runs.
package integration

import (
	"os"
	"testing"

	"github.com/tenzro/tenzro/integration/testnet"
)

func TestMain(m *testing.M) { os.Exit(testnet.Main(m)) }
