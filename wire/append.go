package wire

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/tenzro/tenzro/core"
)

// direct is a message that every job needs and that writes itself. What
// appendTo writes is, byte for byte, what encoding/json writes of the message
// with the inline payload as it is; it reports false, and what it wrote is
// worthless, for the rare value that only encoding/json shall write.
type direct interface {
	appendTo(dst []byte) (out []byte, ok bool)
}

var _ = []direct{(*Pull)(nil), (*JobOffer)(nil), (*JobAccept)(nil), (*LeaseRenew)(nil), (*JobResult)(nil), (*JobVerify)(nil)}

// members writes the members of one object. Names are the literal text before
// the value, comma included.
type members struct {
	b   []byte
	odd bool // a value that is not ours to write
}

func (m *members) done() ([]byte, bool) { return m.b, !m.odd }

func (m *members) raw(s string) { m.b = append(m.b, s...) }

func (m *members) int(name string, v int64) {
	m.b = strconv.AppendInt(append(m.b, name...), v, 10)
}

// optional leaves out 0.
func (m *members) optional(name string, v int64) {
	if v != 0 {
		m.int(name, v)
	}
}

// number writes an integer in a string; name ends in its quote.
func (m *members) number(name string, v uint64) {
	m.b = append(strconv.AppendUint(append(m.b, name...), v, 10), '"')
}

// amount leaves out 0; name ends in its quote.
func (m *members) amount(name string, v core.Amount) {
	if v != 0 {
		m.number(name, uint64(v))
	}
}

// text writes a string; name ends before its quote.
func (m *members) text(name, s string) {
	m.b = append(append(m.b, name...), '"')
	m.odd = m.odd || !plain(s)
	m.b = append(append(m.b, s...), '"')
}

// optionalText leaves out the empty string.
func (m *members) optionalText(name, s string) {
	if s != "" {
		m.text(name, s)
	}
}

// plain reports whether JSON writes s as it is.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// digest writes d; name ends in its quote.
func (m *members) digest(name string, d core.Digest) {
	m.b = append(hex.AppendEncode(append(m.b, name...), d[:]), '"')
}

// share writes a number from 0 to 1 that JSON writes without an exponent.
func (m *members) share(name string, v float64) {
	m.odd = m.odd || v != 0 && !(v >= 1e-6 && v <= 1)
	m.b = strconv.AppendFloat(append(m.b, name...), v, 'f', -1, 64)
}

// time writes t; name ends in its quote. Years and zones that RFC 3339 does not
// have are odd.
func (m *members) time(name string, t time.Time) {
	b, err := t.AppendText(append(m.b, name...))
	m.b, m.odd = append(b, '"'), m.odd || err != nil
}

// payload writes the object of p.
func (m *members) payload(p Payload) {
	m.raw("{")
	if len(p.Inline) > 0 {
		m.b = append(append(m.b, `"inline":`...), p.Inline...)
	}
	if p.Blob != nil { // never both
		m.digest(`"blob":{"digest":"`, p.Blob.Digest)
		m.int(`,"size":`, p.Blob.Size)
		m.raw("}")
	}
	m.raw("}")
}

// names writes a list of names and leaves out an empty one.
func names[T ~string](m *members, name string, list []T) {
	for i, n := range list {
		if i == 0 {
			m.text(name+`[`, string(n))
		} else {
			m.text(`,`, string(n))
		}
	}
	if len(list) > 0 {
		m.raw("]")
	}
}

// proofs writes a list of proofs and leaves out an empty one.
func (m *members) proofs(name string, list []core.Proof) {
	if len(list) == 0 {
		return
	}
	m.raw(name)
	for i, p := range list {
		m.raw([...]string{"[", ","}[min(i, 1)])
		m.text(`{"operation_type":`, p.OperationType)
		m.text(`,"node_id":`, string(p.NodeID))
		m.int(`,"timestamp":"`, p.Timestamp)
		m.digest(`","input_hash":"`, p.InputHash)
		m.digest(`,"output_hash":"`, p.OutputHash)
		m.share(`,"result_metric":`, p.ResultMetric)
		m.odd = m.odd || len(p.Signature) == 0
		m.raw(`,"signature":"`)
		m.b = append(base64.StdEncoding.AppendEncode(m.b, p.Signature), '"')
		if len(p.Inclusion) > 0 {
			m.raw(`,"inclusion":"`)
			m.b = append(base64.StdEncoding.AppendEncode(m.b, p.Inclusion), '"')
		}
		m.raw(`}`)
	}
	m.raw("]")
}

func (p *Pull) appendTo(dst []byte) ([]byte, bool) {
	m := members{b: dst}
	m.text(`{"class":`, string(p.Class))
	m.int(`,"credits":`, int64(p.Credits))
	m.int(`,"freeCpu":`, int64(p.FreeCPU))
	m.int(`,"freeMemoryMB":`, p.FreeMemoryMB)
	m.int(`,"active":`, int64(p.Active))
	m.amount(`,"askPrice":"`, p.AskPrice)
	m.optionalText(`,"rests":`, p.Rests)
	m.raw(`}`)
	return m.done()
}

func (o *JobOffer) appendTo(dst []byte) ([]byte, bool) {
	m := members{b: dst}
	m.number(`{"lease":"`, uint64(o.Lease))
	m.text(`,"taskId":`, string(o.TaskID))
	m.int(`,"index":`, int64(o.Index))
	m.int(`,"attempt":`, int64(o.Attempt))
	m.number(`,"epoch":"`, o.Epoch)
	m.text(`,"class":`, string(o.Class))
	m.raw(`,"task":`)
	m.head(o.Task)
	m.raw(`,"data":`)
	m.payload(o.Data)
	m.digest(`,"inputHash":"`, o.InputHash)
	m.time(`,"deadline":"`, o.Deadline)
	m.int(`,"ttlMs":`, o.TTLMS)
	m.optionalText(`,"gateway":`, string(o.Gateway))
	names(&m, `,"regions":`, o.Regions)
	m.optionalText(`,"trace":`, o.Trace)
	if o.SpecHash != (core.Digest{}) {
		m.digest(`,"specHash":"`, o.SpecHash)
	}
	m.raw(`}`)
	return m.done()
}

func (m *members) head(h TaskHead) {
	m.text(`{"type":`, string(h.Type))
	m.raw(`,"requirements":`)
	m.requirements(h.Requirements)
	m.optional(`,"parallelism":`, int64(h.Parallelism))
	m.optional(`,"queueTimeoutMs":`, h.QueueTimeoutMS)
	m.optional(`,"timeoutMs":`, h.TimeoutMS)
	m.optional(`,"priority":`, int64(h.Priority))
	if !h.Deadline.IsZero() {
		m.time(`,"deadline":"`, h.Deadline)
	}
	m.optionalText(`,"submitter":`, h.Submitter)
	m.raw(`}`)
}

// requirements has nothing but members that may be left out: whichever comes
// first gives its comma up.
func (m *members) requirements(r core.Requirements) {
	from := len(m.b)
	tier, err := r.MinTier.MarshalText()
	m.odd = m.odd || err != nil
	m.optionalText(`,"minTier":`, string(tier))
	m.optional(`,"cpu":`, int64(r.CPU))
	m.optional(`,"memoryMB":`, r.MemoryMB)
	m.amount(`,"maxPrice":"`, r.MaxPrice)
	if len(m.b) == from {
		m.raw(`{`)
	}
	m.b[from] = '{'
	m.raw(`}`)
}

func (a *JobAccept) appendTo(dst []byte) ([]byte, bool) {
	m := members{b: dst}
	m.number(`{"lease":"`, uint64(a.Lease))
	m.raw(`}`)
	return m.done()
}

func (l *LeaseRenew) appendTo(dst []byte) ([]byte, bool) {
	m := members{b: dst}
	m.number(`{"lease":"`, uint64(l.Lease))
	m.share(`,"progress":`, l.Progress)
	m.raw(`}`)
	return m.done()
}

func (r *JobResult) appendTo(dst []byte) ([]byte, bool) {
	m := members{b: dst}
	m.number(`{"lease":"`, uint64(r.Lease))
	m.text(`,"taskId":`, string(r.TaskID))
	m.int(`,"index":`, int64(r.Index))
	m.int(`,"attempt":`, int64(r.Attempt))
	m.number(`,"epoch":"`, r.Epoch)
	m.raw(`,"output":`)
	m.payload(r.Output)
	if f := r.Failure; f != nil {
		m.text(`,"failure":{"reason":`, string(f.Reason))
		m.text(`,"message":`, f.Message)
		m.raw(`}`)
	}
	m.proofs(`,"proofs":`, r.Proofs)
	names(&m, `,"workers":`, r.Workers)
	names(&m, `,"regions":`, r.Regions)
	m.optional(`,"subtasks":`, int64(r.Subtasks))
	m.int(`,"tookUs":`, r.TookUS)
	m.optional(`,"runUs":`, r.RunUS)
	m.raw(`}`)
	return m.done()
}

func (v *JobVerify) appendTo(dst []byte) ([]byte, bool) {
	m := members{b: dst}
	m.text(`{"taskId":`, string(v.TaskID))
	m.int(`,"index":`, int64(v.Index))
	m.raw(`,"accepted":` + strconv.FormatBool(v.Accepted))
	m.optionalText(`,"message":`, v.Message)
	m.raw(`}`)
	return m.done()
}
