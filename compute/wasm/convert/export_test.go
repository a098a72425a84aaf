package convert

// Exact makes the conversion charge every instruction on its own.
func Exact(o Options) Options {
	o.exact = true
	return o
}
