package wire

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/core"
)

func BenchmarkEncodeOffer(b *testing.B) {
	offer, dst := sampleOffer(), make([]byte, 0, MaxFrame)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := AppendBatch(dst[:0], offer); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeOffer(b *testing.B) { benchmarkDecode(b, sampleOffer()) }

func BenchmarkDecodeResult(b *testing.B) { benchmarkDecode(b, sampleResult()) }

func BenchmarkEncodeResult(b *testing.B) {
	result, dst := sampleResult(), make([]byte, 0, MaxFrame)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := AppendBatch(dst[:0], result); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkDecode(b *testing.B, m Body) {
	frame, _, err := AppendBatch(nil, m)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeBatch(frame); err != nil {
			b.Fatal(err)
		}
	}
}

// A submission of 8 MB is mostly numbers inside Data.
func bigSpec() []byte {
	numbers := strings.TrimSuffix(strings.Repeat("123.456,-7,", 700_000), ",")
	return []byte(`{"type":"compute","requirements":{"cpu":80},"data":{"operations":["sum"],"input":[` + numbers + `]}}`)
}

func BenchmarkStrictBig(b *testing.B) {
	text := bigSpec()
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		var spec core.TaskSpec
		if err := DecodeStrictClosed(text, &spec); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStrictReaderBig(b *testing.B) {
	text := bigSpec()
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		r := reader{b: text}
		if err := r.whole(nil, reflect.Value{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	raw, err := Seal(node(1), testNet, testNow(), sample(TypeSummary))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Open(bytes.Clone(raw), testNet, testNow()); err != nil {
			b.Fatal(err)
		}
	}
}

// A type that is no message: its shape is built on every call.
func BenchmarkStrictSmall(b *testing.B) {
	text := []byte(`{"type":"compute","requirements":{"minTier":"inference","cpu":80},"data":{"input":[1,2,3,4,5],"operations":["square","sum"]}}`)
	b.ReportAllocs()
	for b.Loop() {
		var spec core.TaskSpec
		if err := DecodeStrictClosed(text, &spec); err != nil {
			b.Fatal(err)
		}
	}
}
