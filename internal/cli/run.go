package cli

import (
	"os"

	ucli "github.com/urfave/cli/v2"

	"github.com/tenzro/tenzro/internal/cli/collector"
)

func (s *shell) runCommand() *ucli.Command {
	return &ucli.Command{Name: "run", Usage: "run a node until SIGINT or SIGTERM, which let it finish its work",
		Description: "Every setting may also stand in the environment, in a .env file or in\nconfig.yaml of the home directory; a flag wins over all of them.",
		Flags:       settingFlags(), Action: s.runAction}
}

func (s *shell) runAction(c *ucli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	loaded, err := s.load(c)
	if err != nil {
		return err
	}
	cfg := loaded.Config
	cfg.Version = s.version().Version
	if err := makeHome(cfg.Home); err != nil {
		return err
	}
	log, err := newLogger(cfg.Log, cfg.Home, s.Err)
	if err != nil {
		return err
	}
	defer log.Close()
	tuned := collector.Tune(os.LookupEnv, collector.Memory(c.Context))
	log.Debug().Int("percent", tuned.Percent).Int64("limit_bytes", tuned.Limit).Msg("garbage collector; 0 is left to GOGC and GOMEMLIMIT")
	return runNode(c.Context, cfg, log.Logger)
}
