package compute

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tenzro/tenzro/core"
)

const (
	minutesOfDay = 24 * 60
	// maxSpans bounds a schedule: three spans for each day of a week, and some.
	maxSpans = 32
)

// Schedule is when a machine works for others: spans of its own local time that
// come again every week. The zero value is always open.
type Schedule struct {
	text  string
	spans []span
}

// span opens on some days of the week and may end on the day after.
type span struct {
	days     [7]bool // on which it begins, Sunday first
	from, to int     // minutes after midnight; to is greater than from, up to two days
}

// ParseSchedule reads spans with commas between them, each "22:00-06:00" or with
// days before it, "mon-fri 19:00-07:00" or "sat 00:00-24:00". A span that ends at
// or before its beginning ends on the next day. Empty text is always open.
func ParseSchedule(text string) (Schedule, error) {
	s := Schedule{text: strings.TrimSpace(text)}
	if s.text == "" {
		return Schedule{}, nil
	}
	parts := strings.Split(s.text, ",")
	if len(parts) > maxSpans {
		return Schedule{}, core.Errorf(core.Invalid, "schedule", "a schedule of %d spans is too long; at most %d", len(parts), maxSpans)
	}
	for _, part := range parts {
		one, err := parseSpan(part)
		if err != nil {
			return Schedule{}, core.Errorf(core.Invalid, "schedule", "span %.40q: %w", strings.TrimSpace(part), err).
				WithHint("write it as 22:00-06:00 or mon-fri 19:00-07:00")
		}
		s.spans = append(s.spans, one)
	}
	return s, nil
}

// String returns what ParseSchedule read.
func (s Schedule) String() string { return s.text }

// Open reports whether the machine works at a time, taken in its own zone.
func (s Schedule) Open(at time.Time) bool {
	if len(s.spans) == 0 {
		return true
	}
	day, minute := int(at.Weekday()), at.Hour()*60+at.Minute()
	for _, one := range s.spans {
		if one.holds(day, minute) || one.holds((day+6)%7, minute+minutesOfDay) {
			return true
		}
	}
	return false
}

// holds reports whether a minute, counted from midnight of day, is in the span
// that begins on day.
func (s span) holds(day, minute int) bool {
	return s.days[day] && s.from <= minute && minute < s.to
}

// Next returns the first full minute after at when the machine works again. It
// is zero when it never does, which no schedule that was read can say.
func (s Schedule) Next(at time.Time) time.Time {
	next := at.Truncate(time.Minute)
	for range 8 * minutesOfDay {
		if next = next.Add(time.Minute); s.Open(next) {
			return next
		}
	}
	return time.Time{}
}

func parseSpan(text string) (span, error) {
	days, hours := "sun-sat", ""
	switch f := strings.Fields(text); len(f) {
	case 1:
		hours = f[0]
	case 2:
		days, hours = f[0], f[1]
	default:
		return span{}, fmt.Errorf("want days and hours")
	}
	from, to, ok := strings.Cut(hours, "-")
	if !ok {
		return span{}, fmt.Errorf("%.20q is no range of hours", hours)
	}
	var s span
	var err error
	if s.days, err = parseDays(days); err != nil {
		return span{}, err
	}
	if s.from, err = parseClock(from); err != nil {
		return span{}, err
	}
	if s.to, err = parseClock(to); err != nil {
		return span{}, err
	}
	if s.from == minutesOfDay {
		return span{}, fmt.Errorf("a span cannot begin at 24:00")
	}
	if s.to <= s.from {
		s.to += minutesOfDay
	}
	return s, nil
}

// parseDays reads "mon" or "fri-mon", which goes round the end of the week.
func parseDays(text string) (days [7]bool, err error) {
	first, last, isRange := strings.Cut(strings.ToLower(text), "-")
	if !isRange {
		last = first
	}
	from, to := weekday(first), weekday(last)
	if from < 0 || to < 0 {
		return days, fmt.Errorf("%.20q is no day or range of days; days are mon tue wed thu fri sat sun", text)
	}
	for d := from; ; d = (d + 1) % 7 {
		days[d] = true
		if d == to {
			return days, nil
		}
	}
}

// weekday returns the number of a day, -1 for none.
func weekday(name string) int {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if name == strings.ToLower(d.String()[:3]) {
			return int(d)
		}
	}
	return -1
}

// parseClock reads "hh:mm" up to 24:00 as minutes after midnight.
func parseClock(text string) (int, error) {
	h, m, ok := strings.Cut(text, ":")
	hour, err1 := strconv.ParseUint(h, 10, 8)
	minute, err2 := strconv.ParseUint(m, 10, 8)
	if !ok || err1 != nil || err2 != nil || len(m) != 2 || minute > 59 || hour*60+minute > minutesOfDay {
		return 0, fmt.Errorf("%.20q is no time of the day", text)
	}
	return int(hour*60 + minute), nil
}
