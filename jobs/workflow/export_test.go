package workflow

import "fmt"

// Outline is what a plan says about the order of its steps.
func (p *Plan) Outline() (out []string) {
	for _, s := range p.steps {
		out = append(out, fmt.Sprint(s.id, s.after, s.level, s.sink, s.mapped, len(s.list), s.over, len(s.data.Holes), s.retries, s.timeout))
	}
	return append(out, fmt.Sprint(p.output))
}
