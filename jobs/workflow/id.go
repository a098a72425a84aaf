package workflow

import (
	"crypto/sha256"
	"fmt"

	"github.com/google/uuid"

	"github.com/tenzro/tenzro/core"
)

// JobID returns the id of the job that is the given try, from 0, at one element,
// 0 without a map, of a step: in the region home, with a UUID of version 8 that
// is a digest of the arguments. It is the same whoever asks, and nobody's else.
func JobID(home core.RegionID, workflow core.TaskID, step StepID, element, try int) core.TaskID {
	sum := sha256.Sum256(fmt.Appendf(nil, "tenzro workflow step\n%s\n%s\n%d\n%d", workflow, step, element, try))
	u := uuid.UUID(sum[:16])
	u[6] = u[6]&0x0f | 0x80 // version 8: what the bits mean is up to us
	u[8] = u[8]&0x3f | 0x80 // variant of RFC 9562
	return core.NewTaskID(home, u.String())
}

// RecordID returns the id under which a region keeps how the steps of a workflow
// ended.
func RecordID(home core.RegionID, workflow core.TaskID) core.TaskID {
	return JobID(home, workflow, "", 0, 0)
}
