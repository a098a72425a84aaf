package chaos

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/tenzro/tenzro/integration/history"
)

// diskScenario fills the disk of whoever leads the region.
type diskScenario struct{}

func (diskScenario) Name() string { return "disk" }

func (diskScenario) About() string {
	return "F6: the leader's disk is filled into its reserve, then to the brim: 507, reads go on, and with space it goes on without a restart; needs the right to mount (-faults reserve,brim)"
}

func (diskScenario) Plan(short bool) Plan {
	p := Plan{Topology: Topology{Gateways: 2, Coordinators: 1, Workers: 4, DiskMiB: 256},
		Load:  Load{Rate: 20, Duration: 2 * time.Minute, Timeout: 3 * time.Minute},
		Terms: history.Terms{Completed: 1}, Pause: 20 * time.Second, Warm: 20, Faults: diskScenario{}.faults()}
	if short {
		p.Topology.Workers, p.Topology.Gateways = 2, 1
		p.Load.Rate, p.Load.Duration, p.Pause, p.Warm = 10, 6*time.Second, 3*time.Second, 4
	}
	return p
}

func (diskScenario) faults() []string { return []string{"reserve", "brim"} }

// leaves is what of its disk a fault leaves the node: less than the 64 MiB below
// which it refuses new tasks, or nothing.
func leaves(fault string) (int64, error) {
	switch fault {
	case "reserve":
		return 48 << 20, nil
	case "brim":
		return 0, nil
	}
	return 0, fmt.Errorf("%q is no fault: they are reserve and brim", fault)
}

// Inject fills the leader's disk for a while in each chosen way.
func (diskScenario) Inject(ctx context.Context, a *Arena) error {
	known, err := a.finished(ctx)
	if err != nil {
		return err
	}
	for _, fault := range a.Plan.Faults {
		leave, err := leaves(fault)
		if err != nil {
			return err
		}
		victim, err := a.Leader(ctx)
		if err != nil {
			return err
		}
		a.hit("disk full "+fault, victim)
		if err := victim.fill(leave); err != nil {
			return err
		}
		err = a.refusedForSpace(ctx, victim, fault, known)
		ok := a.Pause(ctx, a.Plan.Pause)
		if gone := victim.relieve(); err == nil {
			err = gone
		}
		if err != nil || !ok {
			return fmt.Errorf("disk full %s: %w", fault, orEnded(ctx, err))
		}
		a.healed("space again", victim)
		a.PauseLoaded(ctx, a.Plan.Pause)
	}
	return ctx.Err()
}

func orEnded(ctx context.Context, err error) error {
	if err == nil {
		return ctx.Err()
	}
	return err
}

// finished is a job that has ended.
func (a *Arena) finished(ctx context.Context) (*Job, error) {
	j := a.loader.submit(ctx, time.Now())
	<-j.Done
	if !j.ended {
		return nil, fmt.Errorf("the first job did not end: %w", orEnded(ctx, errNobody))
	}
	return j, nil
}

// refusedForSpace waits until new tasks are refused because the disk is full, and
// wants reading to go on meanwhile.
func (a *Arena) refusedForSpace(ctx context.Context, victim *Node, fault string, known *Job) error {
	begun, gateway, tries := time.Now(), a.Net.Of(Gateway)[0], 0
	err := await(ctx, "a task to be refused", startLimit, func(ctx context.Context) error {
		tries++
		body, _ := a.Plan.Load.Work.task(0, a.Plan.Load.Timeout)
		status, _, problem, err := gateway.submit(ctx, fmt.Sprintf("full-%s-%d", fault, tries), body)
		if err == nil && status == http.StatusAccepted { // computed beside the load, and credited
			a.log.Add(history.Event{Kind: history.Doubtful, Key: known.Key, Node: gateway.Name, Note: "a task beside the load"})
		}
		if err == nil && status != http.StatusInsufficientStorage {
			err = fmt.Errorf("it is answered %d %s", status, problem)
		}
		return err
	})
	if err != nil {
		return err
	}
	a.Note("507 after the disk was full, "+fault, "%s", short(time.Since(begun)))
	if s, err := victim.status(ctx, known.Task); err != nil || !s.Status.Final() {
		return fmt.Errorf("%s does not tell of a finished job any more: %s, %w", victim.Name, s.Status, orEnded(ctx, err))
	}
	return nil
}
