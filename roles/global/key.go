package global

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/google/uuid"

	"github.com/tenzro/tenzro/core"
)

// An idempotency key names a task in the whole network: home and id are made of
// the key, so that every gateway that knows the same regions finds the same task
// and none has to remember anything.

// keyOf makes a key its submitter's own.
func keyOf(submitter, key string) string { return submitter + " " + key } // neither has a space

// keyedHome puts the region first that a key belongs to: the one with the highest
// digest of key and region, so that a region more or less moves few keys.
func keyedHome(regions []core.RegionID, key string) []core.RegionID {
	home := slices.MaxFunc(regions, func(a, b core.RegionID) int {
		x, y := keyDigest("home", key, string(a)), keyDigest("home", key, string(b))
		return slices.Compare(x[:], y[:])
	})
	out := []core.RegionID{home}
	for _, r := range regions {
		if r != home {
			out = append(out, r)
		}
	}
	return out
}

// keyedID is the id of the task with a key: a UUID of version 8 (RFC 9562), whose
// bits are the digest's.
func keyedID(home core.RegionID, key string) core.TaskID {
	sum := keyDigest("task", key)
	u := uuid.UUID(sum[:16])
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80
	return core.NewTaskID(home, u.String())
}

// keyDigest is SHA-256 over parts, each after its length.
func keyDigest(parts ...string) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(p))))
		h.Write([]byte(p))
	}
	h.Sum(sum[:0])
	return sum
}

func keyUsed() error {
	return core.Errorf(core.Exists, "Idempotency-Key", "this idempotency key was used for another task").
		WithHint("use a new key for a new task")
}
