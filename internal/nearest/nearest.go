// Package nearest finds the known word that somebody who made a typing error
// probably meant.
//
// It is no spelling checker and knows no words of its own. It guarantees that what
// it costs is bounded whatever the word, which may be remote text, and that it says
// nothing rather than something far from it.
package nearest

import (
	"fmt"
	"strings"

	"github.com/xrash/smetrics"
)

// maxGuessed bounds the words a suggestion is looked for: the cost grows with
// the square of the length.
const maxGuessed = 64

// Word returns the candidate that somebody who typed word most likely meant, and
// false when none is near: too many letters differ, and word is not the last part
// of a candidate either.
func Word(word string, candidates []string) (string, bool) {
	if word == "" || len(word) > maxGuessed {
		return "", false
	}
	// Two letters may differ in any word, as when two are swapped, but never all.
	best, bestCost := "", min(max(2, len(word)/3)+1, len(word))
	for _, c := range candidates {
		if cost := distance(strings.ToLower(word), strings.ToLower(c)); cost < bestCost {
			best, bestCost = c, cost
		}
	}
	return best, best != ""
}

func distance(word, candidate string) int {
	cut := len(candidate) - len(word)
	if cut > 0 && candidate[cut:] == word && strings.ContainsAny(candidate[cut-1:cut], "._-") {
		return 1
	}
	return smetrics.WagnerFischer(word, candidate, 1, 1, 1)
}

// DidYouMean returns the end of a message about an unknown word: a suggestion
// when one is near, nothing otherwise.
func DidYouMean(word string, candidates []string) string {
	if near, ok := Word(word, candidates); ok {
		return fmt.Sprintf("; did you mean %s?", near)
	}
	return ""
}
