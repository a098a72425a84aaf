package core

import "strconv"

// Amount is money in base units, or a price in base units per million elementary
// operations. In JSON it is a decimal string: numbers there lose digits.
type Amount uint64

// MaxAmount bounds an amount: every unit there will ever be (10^9 whole ones of
// 10^9 base units).
const MaxAmount Amount = 1e18

// ParseAmount reads a decimal number of base units in its one form: digits
// without sign, point or leading zeros.
func ParseAmount(s string) (Amount, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || strconv.FormatUint(n, 10) != s || Amount(n) > MaxAmount {
		return 0, Errorf(Invalid, "amount", "%.40q is not a whole number of base units from 0 to %d", s, MaxAmount).
			WithHint(`write it as digits in a string, for example "250"`)
	}
	return Amount(n), nil
}

// String returns the decimal digits.
func (a Amount) String() string { return strconv.FormatUint(uint64(a), 10) }

// MarshalText implements encoding.TextMarshaler.
func (a Amount) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Amount) UnmarshalText(text []byte) (err error) {
	*a, err = ParseAmount(string(text))
	return err
}
