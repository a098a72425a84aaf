package node

import "github.com/tenzro/tenzro/compute/container"

// buildContainers makes the engine of containers. It runs none before its service has
// found a container engine and an image, which renews the ad.
func (n *Node) buildContainers() (err error) {
	c := n.cfg.Compute.Containers
	n.containers, err = container.New(container.Config{On: c.On, Socket: c.Socket, Images: c.Images, Pull: c.Pull,
		Node: n.identity.ID(), MemoryMB: n.offered().MemoryMB, CPU: n.offered().FreeCPU,
		Changed: func() { n.ads.publisher.Refresh() }}, n.registerer, n.log)
	return err
}
