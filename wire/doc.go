// Package wire is every message that crosses a node boundary: their shapes,
// their bounds, and the one codec that reads and writes them. docs/spec/wire.md
// is the same contract for people who do not read Go.
//
// Two carriers exist, and together they are what the documents call a
// NetworkMessage. A batch (AppendBatch, DecodeBatch) is one frame of a stream
// between two nodes that know each other: the connection has authenticated both,
// so nothing in it is signed. An envelope (Seal, Open) travels by gossip through
// nodes that did not write it, so it carries its author, its time and a signature
// over the exact bytes of its body. Statements that outlive the connection, an Ad
// or a JobReward, carry their own signature in either carrier (SignAd, VerifyAd,
// SignReward, VerifyReward).
//
// It is not a protocol: it opens no stream, keeps no order, answers nothing and
// counts nothing. A message has no behaviour beyond Validate. The only state is
// Replay, a bounded memory of envelopes seen, that its owner creates and passes
// on. The package starts no goroutine and reads no clock, Replay excepted; who
// calls it owns the time.
//
// What it guarantees to every caller:
//
//   - Bytes are hostile until they were decoded here. A decoded Body is valid
//     UTF-8, has no duplicate key, no key that is a field's name in other case,
//     no nesting beyond MaxDepth, no trailing bytes, and passed its own Validate.
//   - Size is checked before meaning: a frame or envelope beyond its limit is
//     refused unread, a body beyond the limit of its type before it is decoded,
//     and what decoding allocates is proportional to the bytes received.
//   - Inline payloads keep their exact bytes, white space included, so that a
//     digest over them means the same on both sides.
//   - What AppendBatch and Seal accept, DecodeBatch and Open accept.
//   - Errors are *core.Error. Invalid: malformed, Op is the path of the value
//     ("items[2].body.task.parallelism"). Denied: forged or of another network.
//     Timeout: authentic perhaps, but not of now. Unsupported: a version or type
//     that this build does not know. Exhausted: too big to send.
//
// Compatibility: within major version 1 a field may be added if its zero value is
// left out of the encoding, and readers ignore fields they do not know; a type
// may be added, and readers drop and count types they do not know. The frames
// around the bodies never change within a major version.
package wire
