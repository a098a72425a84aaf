package cli

import (
	"fmt"

	ucli "github.com/urfave/cli/v2"
)

const bashCompletion = `# completion of tenzro for bash; load it with:  source <(tenzro completion bash)
_tenzro() {
  local word="${COMP_WORDS[COMP_CWORD]}"
  local before=("${COMP_WORDS[@]:0:COMP_CWORD}")
  if [[ "$word" == -* ]]; then
    before+=("$word")
  fi
  COMPREPLY=($(compgen -W "$("${before[@]}" --generate-bash-completion 2>/dev/null)" -- "$word"))
}
complete -o default -F _tenzro tenzro
`

const zshCompletion = `#compdef tenzro
# completion of tenzro for zsh; load it with:  source <(tenzro completion zsh)
_tenzro() {
  local word="${words[CURRENT]}"
  local -a asked found
  asked=("${(@)words[1,CURRENT-1]}")
  if [[ "$word" == -* ]]; then
    asked+=("$word")
  fi
  found=("${(@f)$(${asked[@]} --generate-bash-completion 2>/dev/null)}")
  compadd -a found || _files
}
compdef _tenzro tenzro
`

func (s *shell) completionCommand() *ucli.Command {
	script := func(name string, text func(*ucli.Context) (string, error)) *ucli.Command {
		return &ucli.Command{Name: name, Usage: "for " + name, Action: func(c *ucli.Context) error {
			if _, err := arguments(c); err != nil {
				return err
			}
			out, err := text(c)
			if err == nil {
				_, err = fmt.Fprint(s.Out, out)
			}
			return err
		}}
	}
	fixed := func(text string) func(*ucli.Context) (string, error) {
		return func(*ucli.Context) (string, error) { return text, nil }
	}
	return &ucli.Command{Name: "completion", Usage: "print a completion script", Subcommands: []*ucli.Command{
		script("bash", fixed(bashCompletion)),
		script("zsh", fixed(zshCompletion)),
		script("fish", func(c *ucli.Context) (string, error) { return c.App.ToFishCompletion() }),
	}}
}
