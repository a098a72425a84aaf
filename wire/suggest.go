package wire

import (
	"fmt"

	"github.com/tenzro/tenzro/internal/nearest"
)

// suggest returns the hint for a key that no field of s has: the field that was
// probably meant, or nothing when none is near.
func (s *shape) suggest(key []byte) string {
	names := make([]string, len(s.fields))
	for i, f := range s.fields {
		names[i] = f.name
	}
	if near, ok := nearest.Word(string(key), names); ok {
		return fmt.Sprintf("the nearest field is %s; correct or remove it", near)
	}
	return ""
}
