package command

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// A completionCommand is wsecho completion.
type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"Shell: bash, zsh or fish."`
}

// Help returns the part of the help between its first line and the flags.
func (completionCommand) Help() string {
	return `For one session: source <(wsecho completion bash), the same with zsh, or wsecho completion fish | source.

For all sessions, save the output as one of these files: /usr/share/bash-completion/completions/wsecho, /usr/local/share/zsh/site-functions/_wsecho, ~/.config/fish/completions/wsecho.fish.`
}

// Run prints the script. It is made from the same model as the help.
func (c completionCommand) Run(k *kong.Context, out streams) error {
	write := map[string]func(io.Writer, []completedCommand) error{"bash": bashScript, "zsh": zshScript, "fish": fishScript}[c.Shell]
	return write(out.stdout, completedCommands(k.Model))
}

// A completedCommand is a subcommand as the shells complete it.
type completedCommand struct {
	name, help string
	isDefault  bool     // its flags follow the name of the program too
	arguments  []string // values of its argument, if these are known
	flags      []completedFlag
}

// A completedFlag is a flag as the shells complete it.
type completedFlag struct {
	name, help string
	value      string // the kind of its value; "" for a switch
	values     []string
	isFile     bool
	repeatable bool
}

// completedCommands returns all subcommands and their flags.
func completedCommands(app *kong.Application) (all []completedCommand) {
	var names []string
	for _, node := range app.Children {
		names = append(names, node.Name)
	}
	for _, node := range app.Children {
		c := completedCommand{name: node.Name, help: firstSentence(node.Help), isDefault: node == app.DefaultCmd}
		for _, arg := range node.Positional {
			if arg.Enum != "" {
				c.arguments = arg.EnumSlice()
			}
		}
		if node.Name == "help" {
			c.arguments = names
		}
		for _, f := range append(node.Flags[:len(node.Flags):len(node.Flags)], app.Flags...) {
			if f.Hidden {
				continue
			}
			flag := completedFlag{name: f.Name, help: firstSentence(f.Help), isFile: f.PlaceHolder == "FILE", repeatable: f.IsCumulative()}
			if !f.IsBool() {
				flag.value = strings.ToLower(f.FormatPlaceHolder())
				if f.PlaceHolder == "" {
					flag.value = "value"
				}
			}
			if f.Enum != "" {
				flag.values = f.EnumSlice()
			}
			c.flags = append(c.flags, flag)
		}
		all = append(all, c)
	}
	return all
}

// firstSentence returns the text up to its first full stop, without it. A stop inside a
// word, as in example.com, ends nothing.
func firstSentence(text string) string {
	text, _, _ = strings.Cut(text, ". ")
	return strings.TrimSuffix(text, ".")
}

// lines writes formatted lines and keeps the first error.
type lines struct {
	w   io.Writer
	err error
}

func (l *lines) add(format string, args ...any) {
	if l.err == nil {
		_, l.err = fmt.Fprintf(l.w, format+"\n", args...)
	}
}
