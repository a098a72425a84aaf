package compute_test

import (
	"errors"
	"testing"
	"time"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
)

// 2026-11-23 is a Monday.
func monday(hour, minute int) time.Time {
	return time.Date(2026, 11, 23, hour, minute, 0, 0, time.UTC)
}

// TestScheduleOpens: a schedule is open in its spans and nowhere else, over
// midnight and over the end of the week.
func TestScheduleOpens(t *testing.T) {
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		schedule string
		at       time.Time
		want     bool
	}{
		"none":                        {"", monday(12, 0), true},
		"nights, before":              {"22:00-06:00", monday(21, 59), false},
		"nights, first minute":        {"22:00-06:00", monday(22, 0), true},
		"nights, after midnight":      {"22:00-06:00", monday(5, 59), true},
		"nights, over":                {"22:00-06:00", monday(6, 0), false},
		"day of the beginning counts": {"mon 22:00-06:00", monday(3, 0), false},
		"and its morning after":       {"mon 22:00-06:00", monday(3, 0).Add(day), true},
		"week round":                  {"sat-mon 08:00-09:00", monday(8, 30), true},
		"week round, outside":         {"sat-mon 08:00-09:00", monday(8, 30).Add(day), false},
		"saturday into sunday":        {"sat 23:00-01:00", monday(0, 30).Add(6 * day), true},
		"whole day":                   {"mon 00:00-24:00", monday(23, 59), true},
		"same time twice":             {"mon 08:00-08:00", monday(7, 59).Add(day), true},
		"second span":                 {"sun 01:00-02:00, MON 09:00-10:00", monday(9, 0), true},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := compute.ParseSchedule(c.schedule)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Open(c.at); got != c.want {
				t.Errorf("%q at %s: open %t, want %t", s, c.at.Format("Mon 15:04"), got, c.want)
			}
		})
	}
}

// TestScheduleTellsWhenItOpens: the first minute after a time that is open.
func TestScheduleTellsWhenItOpens(t *testing.T) {
	s, err := compute.ParseSchedule("mon-fri 19:00-07:00")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.Next(monday(9, 30)), monday(19, 0); !got.Equal(want) {
		t.Errorf("opens at %s, want %s", got, want)
	}
	saturday := monday(12, 0).Add(5 * 24 * time.Hour)
	if got, want := s.Next(saturday), monday(19, 0).Add(7*24*time.Hour); !got.Equal(want) {
		t.Errorf("opens at %s, want %s", got, want)
	}
}

// TestScheduleRefuses: what is no schedule is said to be none.
func TestScheduleRefuses(t *testing.T) {
	for _, text := range []string{"nights", "22-06", "22:00", "25:00-26:00", "22:60-23:00", "22:0-23:00", "24:00-01:00",
		"xyz 22:00-23:00", "mon- 22:00-23:00", "mon tue 22:00-23:00", "22:00-06:00,", ",", "-1:00-02:00"} {
		if s, err := compute.ParseSchedule(text); !errors.Is(err, core.Invalid) {
			t.Errorf("%q was read as %+v, %v", text, s, err)
		}
	}
}

// FuzzSchedule: whatever is read opens at some time of every week.
func FuzzSchedule(f *testing.F) {
	for _, text := range []string{"", "22:00-06:00", "mon-fri 19:00-07:00, sat 00:00-24:00", "sat 23:00-01:00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := compute.ParseSchedule(text)
		if err == nil && s.Next(monday(0, 0)).IsZero() {
			t.Errorf("%q never opens", text)
		}
	})
}
