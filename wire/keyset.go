package wire

import "bytes"

// fewKeys is how many unknown keys of one object are compared one by one before
// a map takes over; without the map an object of many keys costs their square.
const fewKeys = 8

// keyset is the keys of one object so far, unescaped. Known fields are bits;
// others are kept.
type keyset struct {
	shape *shape // may be nil
	next  int    // where the next known field is likely
	seen  uint64 // of shape.fields
	few   [fewKeys][]byte
	n     int
	many  map[string]struct{}
}

// add takes a key and returns its field, nil for a key that is none.
func (k *keyset) add(name []byte) (*field, *flaw) {
	if k.shape == nil || !k.shape.object {
		return nil, k.addUnknown(name)
	}
	i := k.shape.index(name, k.next)
	if i < 0 {
		if v := k.shape.variant(name); v != "" {
			return nil, &flaw{why: "must be written " + v}
		}
		return nil, k.addUnknown(name)
	}
	k.next = i + 1
	if i >= 64 {
		return &k.shape.fields[i], k.addUnknown(name)
	}
	if k.seen&(1<<i) != 0 {
		return nil, duplicate()
	}
	k.seen |= 1 << i
	return &k.shape.fields[i], nil
}

func (k *keyset) addUnknown(name []byte) *flaw {
	if k.many != nil {
		if _, ok := k.many[string(name)]; ok {
			return duplicate()
		}
		k.many[string(name)] = struct{}{}
		return nil
	}
	for _, other := range k.few[:k.n] {
		if bytes.Equal(other, name) {
			return duplicate()
		}
	}
	if k.n < fewKeys {
		k.few[k.n] = name
		k.n++
		return nil
	}
	k.many = map[string]struct{}{string(name): {}}
	for _, other := range k.few {
		k.many[string(other)] = struct{}{}
	}
	return nil
}

func duplicate() *flaw { return &flaw{why: "is there twice"} }

// pathName is a key as part of a path: short, because keys are remote text.
func pathName(key []byte) string { return string(bytes.ToValidUTF8(key[:min(len(key), 40)], nil)) }
