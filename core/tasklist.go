package core

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// MaxTaskList bounds one page of a list of tasks.
const MaxTaskList = 1000

// TaskFilter chooses tasks of a list; a zero field lets everything through.
type TaskFilter struct {
	Status TaskState `json:"status,omitempty"`
	Type   TaskType  `json:"type,omitempty"`
	Region RegionID  `json:"region,omitempty"` // the home
	After  string    `json:"after,omitempty"`  // a Cursor's text: what is listed behind it
	Limit  int       `json:"limit"`            // 1 to MaxTaskList
}

// Validate checks everything, naming the field that is wrong.
func (f TaskFilter) Validate() error {
	if f.Status != "" && !f.Status.known() {
		return Errorf(Invalid, "status", "status %.40q is not a task state", f.Status).
			WithHint("use pending, running, completed, failed, cancelled or expired")
	}
	if f.Type != "" && !validName(string(f.Type), 32) {
		return Errorf(Invalid, "type", "type %.40q must be 1 to 32 characters of A-Z, a-z, 0-9, '_' and '-'", f.Type)
	}
	if f.Region != "" {
		if _, err := ParseRegionID(string(f.Region)); err != nil {
			return err
		}
	}
	if f.Limit < 1 || f.Limit > MaxTaskList {
		return Errorf(Invalid, "limit", "limit %d is not a number from 1 to %d", f.Limit, MaxTaskList)
	}
	if f.After != "" {
		_, err := ParseCursor(f.After)
		return err
	}
	return nil
}

func (s TaskState) known() bool {
	switch s {
	case TaskPending, TaskRunning, TaskCompleted, TaskFailed, TaskCancelled, TaskExpired:
		return true
	}
	return false
}

// TaskPage is one page of a list: newest first, then by id.
type TaskPage struct {
	Tasks []TaskStatus `json:"tasks"`
	// Next is where the list goes on, empty at its end.
	Next string `json:"next,omitempty"`
	// Incomplete names the regions that did not answer: their tasks are missing.
	Incomplete []RegionID `json:"incomplete,omitempty"`
}

// Cursor is a place in a list of tasks, which need not hold a task (any more).
// It means the same to every region and every gateway.
type Cursor struct {
	Created time.Time
	ID      TaskID
}

// cursorVersion is the first word of a cursor's text.
const cursorVersion = "1"

// String returns the form that clients send back; they must not look inside.
func (c Cursor) String() string {
	text := cursorVersion + "." + strconv.FormatInt(c.Created.UnixNano(), 10) + "." + string(c.ID)
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// ParseCursor reads what String wrote; anything else is Invalid.
func ParseCursor(s string) (Cursor, error) {
	const most = 160 // characters: a time and an id
	bad := Errorf(Invalid, "after", "cursor %.40q is none that this network gave out", s).
		WithHint("send the \"next\" of the page before, unchanged, or start without it")
	if len(s) > most {
		return Cursor{}, bad
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return Cursor{}, bad
	}
	words := strings.SplitN(string(text), ".", 3)
	if len(words) != 3 || words[0] != cursorVersion || !validName(words[2], 64) {
		return Cursor{}, bad
	}
	at, err := strconv.ParseInt(words[1], 10, 64)
	if err != nil {
		return Cursor{}, bad
	}
	c := Cursor{Created: time.Unix(0, at).UTC(), ID: TaskID(words[2])}
	if c.String() != s { // one text for one place
		return Cursor{}, bad
	}
	return c, nil
}
