//go:build linux && !amd64 && !arm64 && !portable

package sandbox

import "errors"

// filterCalls has no list of calls for this machine.
func filterCalls(bool) error { return errors.ErrUnsupported }

func surveySystemCalls() Protection {
	return Protection{Name: "system calls", Strong: true, Detail: "there is no filter for this kind of processor"}
}
