package rolestest

import (
	"testing"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/roles"
)

func TestHubKeepsTheContract(t *testing.T) {
	h := NewHub()
	Contract(t, "a", "b", h.Channel("a"), h.Channel("b"))
}

func TestHubCuts(t *testing.T) {
	h := NewHub()
	in, end := h.Channel("b").Subscribe(4)
	defer end()
	h.Cut("b", true)
	if err := h.Channel("b").Publish(t.Context(), Vote("b", roles.VoteJoin, "a")); core.KindOf(err) != core.Unavailable {
		t.Errorf("a cut node publishes: %v", err)
	}
	h.Say("a", Vote("a", roles.VoteDissolved))
	h.Cut("b", false)
	h.Say("mallory", Vote("a", roles.VoteFormed, "a", "b"))
	if got := receive(t, in); got.From != "mallory" || len(in) != 0 {
		t.Errorf("received %+v and %d more, want only what was said after the cut", got, len(in))
	}
	if told := h.Told(); len(told) != 2 {
		t.Errorf("told %v", told)
	}
}
