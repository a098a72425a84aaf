package compute

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tenzro/tenzro/core"
)

// TypesHint tells whoever named an unknown task type which there are.
func TypesHint(planners map[core.TaskType]Planner) string {
	var names []string
	for _, t := range slices.Sorted(maps.Keys(planners)) {
		names = append(names, strconv.Quote(string(t)))
	}
	if n := len(names); n > 1 {
		return "use " + strings.Join(names[:n-1], ", ") + " or " + names[n-1]
	}
	return "use " + strings.Join(names, "")
}
