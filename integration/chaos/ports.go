package chaos

import (
	"fmt"
	"net"
	"strconv"
)

// Ports of nodes are below the range the kernel gives to outgoing connections,
// so that a node finds its own free when it restarts.
const (
	firstPort = 20_000
	lastPort  = 32_000
)

// ports hands out free ports of loopback, each once.
type ports struct{ next int }

func (p *ports) take() (int, error) {
	for ; p.next < lastPort; p.next++ {
		if free(p.next) {
			p.next++
			return p.next - 1, nil
		}
	}
	return 0, fmt.Errorf("no free port between %d and %d", firstPort, lastPort)
}

// free reports whether nobody uses a port, neither TCP nor UDP.
func free(port int) bool {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	tcp, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", address)
	if err != nil {
		return false
	}
	return udp.Close() == nil
}
