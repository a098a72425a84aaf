// Command wordcount counts words. It is the program of TestWordCount and of
// docs/map.md: built for WASI it is both halves of a count over many machines, and
// built for this machine it writes the text that was counted.
//
//	wordcount count SEED BYTES   counts the words of a piece of text
//	wordcount text SEED BYTES    writes the piece itself
//	wordcount sum                adds up counts, any number of them behind each other
//
// A count is a line "WORD N". What sum writes sum can read, and it does not matter
// what was added up before: that is what makes it fit to be run over parts.
package main

import (
	"bytes"
	"io"
	"os"
	"slices"
	"strconv"
)

func main() {
	switch {
	case len(os.Args) == 2 && os.Args[1] == "sum":
		sum()
	case len(os.Args) == 4 && (os.Args[1] == "count" || os.Args[1] == "text"):
		piece := text(number(os.Args[2]), int(number(os.Args[3])))
		if os.Args[1] == "text" {
			write(piece)
			return
		}
		counts := map[string]int{}
		for word := range bytes.FieldsSeq(piece) {
			counts[string(word)]++
		}
		write(lines(counts))
	default:
		fail("say count SEED BYTES, text SEED BYTES, or sum")
	}
}

// text writes words of one to three syllables, some often and most seldom, with
// spaces, tabs and line ends between them. The piece ends with a line end.
func text(seed uint64, size int) []byte {
	const syllables = "babebidadedikakekilalelimamominanenorarerosatetozu"
	out := make([]byte, 0, size+8)
	for len(out) < size-1 {
		seed = seed*6364136223846793005 + 1442695040888963407 // Knuth's MMIX
		r := seed >> 33
		for n := r % 3; ; n-- {
			i := r / 3 % 25 * (r / 75 % 4) / 3 // the first ones more often
			out = append(out, syllables[2*i:2*i+2]...)
			if r = r*2654435761>>7 ^ r>>3; n == 0 {
				break
			}
		}
		out = append(out, "       \t\n\n"[r%10])
		if r%64 == 0 {
			out = append(out, ' ')
		}
	}
	return append(out[:size-1], '\n')
}

func sum() {
	in, err := io.ReadAll(os.Stdin)
	if err != nil {
		fail(err.Error())
	}
	counts := map[string]int{}
	for line := range bytes.Lines(in) {
		word, n, ok := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
		if !ok {
			fail("a line without a count")
		}
		counts[string(word)] += int(number(string(n)))
	}
	write(lines(counts))
}

func lines(counts map[string]int) (out []byte) {
	words := make([]string, 0, len(counts))
	for word := range counts {
		words = append(words, word)
	}
	slices.Sort(words)
	for _, word := range words {
		out = append(append(out, word...), ' ')
		out = append(strconv.AppendInt(out, int64(counts[word]), 10), '\n')
	}
	return out
}

func number(s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		fail(err.Error())
	}
	return n
}

func write(b []byte) {
	if _, err := os.Stdout.Write(b); err != nil {
		fail(err.Error())
	}
}

func fail(why string) {
	_, _ = os.Stderr.WriteString(why + "\n")
	os.Exit(1)
}
