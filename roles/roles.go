// Package roles says what a role is made of: a row of the catalog with a
// condition and a way to start its services.
//
// It holds no role itself (the packages below it do) and never switches on a
// node's type: role names are presets over types and capabilities
// (core.Roles), and each row says for which sets it is active. A row's services
// run in a subtree of the node's supervision tree, so it comes and goes while
// the node runs (document 4, "Node Types").
//
// It guarantees that a row is announced only after it was started.
package roles

import (
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/service"
)

// Row is one part of a node that can be added and removed while it runs.
type Row struct {
	Name string
	// Active says whether the row belongs to a node with these roles.
	Active func(core.RoleSet) bool
	// Start adds the row's services to an empty tree, which runs afterwards. It must
	// not block.
	Start func(tree *service.Tree) error
	// Stop runs after the services have ended; it may be nil.
	Stop func()
}

// Catalog is every row a node knows, in the order they are started.
type Catalog []Row

// Active returns the rows that belong to a set of roles.
func (c Catalog) Active(set core.RoleSet) Catalog {
	var out Catalog
	for _, r := range c {
		if r.Active(set) {
			out = append(out, r)
		}
	}
	return out
}
