package vsa

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/tenzro/tenzro/compute/vsa/hyper"
	"github.com/tenzro/tenzro/wire"
)

// scale measures how fit a vector is.
type scale struct {
	space
	targets []*hyper.Vector // what is to be avoided is there as its opposite
	start   *hyper.Vector   // their bundle
}

// scale makes the targets.
func (e *evolution) scale() (*scale, error) {
	s := &scale{space: e.space, start: new(hyper.Vector)}
	for i, o := range e.targets {
		v, err := e.vector(o, new(hyper.Vector))
		if err != nil {
			return nil, err
		}
		if i >= len(e.data.Exemplars) {
			own := new(hyper.Vector)
			own.Negate(v)
			v = own
		}
		s.targets = append(s.targets, v)
	}
	return s, s.start.Bundle(s.targets)
}

// weigh returns the least dot product with a target, and with which.
func (s *scale) weigh(v *hyper.Vector) (least, worst int, err error) {
	for i, t := range s.targets {
		dot, err := hyper.Dot(v, t)
		if err != nil {
			return 0, 0, err
		}
		if i == 0 || dot < least {
			least, worst = dot, i
		}
	}
	return least, worst, nil
}

// fitness is a least dot product on a scale of 0 to 1: one division.
func (s space) fitness(least int) float64 { return float64(s.dim+least) / float64(2*s.dim) }

// individual is one vector of a population.
type individual struct {
	vector *hyper.Vector
	least  int // dot product with a target
	worst  int // that target
	born   int // generation
	island int
}

// island is one population on its way.
type island struct {
	e      *evolution
	scale  *scale
	number int
	random hyper.Stream
	now    []individual
	next   []individual
}

// run evolves all islands, one after the other, and returns the fittest.
func (e *evolution) run(ctx context.Context, progress func(float64)) (individual, error) {
	scale, err := e.scale()
	if err != nil {
		return individual{}, err
	}
	var best individual
	for i := range e.islands {
		at := newIsland(e, scale, e.data.FirstIsland+i)
		own, err := at.run(ctx, func(share float64) { progress((float64(i) + share) / float64(e.islands)) })
		if err != nil {
			return individual{}, err
		}
		if best.vector == nil || own.least > best.least {
			best = own
		}
	}
	return best, nil
}

func newIsland(e *evolution, s *scale, number int) *island {
	i := &island{e: e, scale: s, number: number, random: hyper.Stream(hyper.ItemSeed(e.seed, number)),
		now: make([]individual, e.population), next: make([]individual, e.population)}
	for k := range i.now {
		i.now[k].vector, i.next[k].vector = new(hyper.Vector), new(hyper.Vector)
	}
	return i
}

// run evolves one population: the fittest lives on, all others are replaced.
func (i *island) run(ctx context.Context, progress func(float64)) (individual, error) {
	first := individual{vector: i.scale.start, island: i.number}
	var err error
	if first.least, first.worst, err = i.scale.weigh(first.vector); err != nil {
		return first, err
	}
	for k := range i.now {
		i.now[k].vector.Copy(first.vector)
		i.now[k].least, i.now[k].worst, i.now[k].island = first.least, first.worst, i.number
	}
	best := i.now[0]
	for g := 1; g <= i.e.generations && !i.reached(best); g++ {
		if err := i.generation(ctx, g, best); err != nil {
			return best, err
		}
		best = i.fittest()
		progress(float64(g) / float64(i.e.generations))
	}
	return best, nil
}

func (i *island) reached(best individual) bool {
	return i.e.data.Target != nil && i.e.fitness(best.least) >= *i.e.data.Target
}

// fittest returns the first of the fittest.
func (i *island) fittest() individual {
	best := i.now[0]
	for _, one := range i.now[1:] {
		if one.least > best.least {
			best = one
		}
	}
	return best
}

// generation replaces the population; its fittest comes first in the next.
func (i *island) generation(ctx context.Context, g int, best individual) error {
	i.next[0].vector.Copy(best.vector)
	i.next[0].least, i.next[0].worst, i.next[0].born, i.next[0].island = best.least, best.worst, best.born, i.number
	for k := 1; k < len(i.next); k++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		mother, father := i.choose(), i.choose()
		child := &i.next[k]
		if err := child.vector.Cross(mother.vector, father.vector, &i.random); err != nil {
			return err
		}
		i.mutate(child.vector, i.scale.targets[mother.worst])
		child.born, child.island = g, i.number
		var err error
		if child.least, child.worst, err = i.scale.weigh(child.vector); err != nil {
			return err
		}
	}
	i.now, i.next = i.next, i.now
	return nil
}

// choose returns the fitter of two: the first drawn when they are equal.
func (i *island) choose() *individual {
	a, b := &i.now[i.random.Below(len(i.now))], &i.now[i.random.Below(len(i.now))]
	if b.least > a.least {
		return b
	}
	return a
}

// mutate changes elements of a child: to what the target says that its mother is
// least similar to, or at random.
func (i *island) mutate(v, worst *hyper.Vector) {
	for range 1 + i.random.Below(i.e.mutations) {
		at, how := i.random.Below(i.e.dim), i.random.Next()
		switch {
		case how&1 == 0:
			v.Set(at, worst.At(at))
		case v.Kind() == hyper.Binary:
			v.Set(at, 1-v.At(at))
		default: // to one of the two other values
			v.Set(at, (v.At(at)+2+int(how>>1&1))%3-1)
		}
	}
}

// read reads a result and holds it against the task: form, fitness and origin.
func (e *evolution) read(name string, text json.RawMessage, s *scale) (evolved, error) {
	var out evolved
	if err := wire.DecodeStrictClosed(text, &out); err != nil {
		return out, corrupt(name, "is not an evolved vector")
	}
	v, err := e.space.read(name+".vector", out.Vector)
	if err != nil {
		return out, err
	}
	again, err := json.Marshal(evolved{Vector: e.data.Encoding.show(v), Fitness: out.Fitness, Generation: out.Generation, Island: out.Island})
	if err != nil || !bytes.Equal(again, text) {
		return out, corrupt(name, "is not written in the canonical form")
	}
	least, _, err := s.weigh(v)
	if err != nil {
		return out, err
	}
	start, _, err := s.weigh(s.start)
	if err != nil {
		return out, err
	}
	return out, e.plausible(name, out, v, least, start, s)
}

// plausible reports why a vector with this least dot product cannot have been
// evolved from the start.
func (e *evolution) plausible(name string, out evolved, v *hyper.Vector, least, start int, s *scale) error {
	switch {
	case out.Fitness != e.fitness(least):
		return corrupt(name, "claims a fitness of %v; the vector's is %v", out.Fitness, e.fitness(least))
	case least < start || out.Generation > 0 && least == start:
		return corrupt(name, "is no fitter than the vector that the evolution starts with")
	case out.Generation == 0 && !v.Equal(s.start):
		return corrupt(name, "is another vector than the evolution starts with")
	case out.Generation < 0 || out.Generation > e.generations:
		return corrupt(name, "comes from generation %d of %d", out.Generation, e.generations)
	case out.Island < e.data.FirstIsland || out.Island >= e.data.FirstIsland+e.islands:
		return corrupt(name, "comes from island %d, which is not of this task", out.Island)
	}
	return nil
}
