package collector

import "testing"

// TestChoose: the operator's own settings win, and there is no more garbage
// without a bound on it.
func TestChoose(t *testing.T) {
	const gib = 1 << 30
	tests := map[string]struct {
		env    map[string]string
		memory int64
		want   Settings
	}{
		"nothing said":     {nil, 4 * gib, Settings{Percent, 4 * gib / 100 * 75}},
		"pace said":        {map[string]string{"GOGC": "50"}, 4 * gib, Settings{0, 4 * gib / 100 * 75}},
		"limit said":       {map[string]string{"GOMEMLIMIT": "1GiB"}, 4 * gib, Settings{Percent, 0}},
		"both said":        {map[string]string{"GOGC": "off", "GOMEMLIMIT": "1GiB"}, 4 * gib, Settings{}},
		"memory not known": {nil, 0, Settings{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := choose(func(k string) (string, bool) { v, ok := tt.env[k]; return v, ok }, tt.memory)
			if got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestMemory(t *testing.T) {
	if got := Memory(t.Context()); got < 1<<20 {
		t.Errorf("this machine has %d bytes", got)
	}
}
