package command

import (
	"fmt"
	"io"
	"strings"
)

// bashScript writes the script for bash 3.2 and later. It needs no other package. Bash
// splits --flag=value into three words.
func bashScript(w io.Writer, commands []completedCommand) error {
	l := &lines{w: w}
	l.add(`# Completion of wsecho for bash: wsecho completion bash
_wsecho() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=%s flag= words=
    if [[ $cur == = ]]; then
        cur= flag=$prev
    elif [[ $prev == = ]]; then
        flag=${COMP_WORDS[COMP_CWORD-2]}
    elif [[ $prev == --* ]]; then
        flag=$prev
    fi
    COMPREPLY=()`, defaultCommand(commands))
	l.add(`    ((COMP_CWORD < 2)) || case ${COMP_WORDS[1]} in %s) command=${COMP_WORDS[1]} ;; esac`, strings.Join(commandNames(commands), "|"))
	l.add(`    case $command$flag in`)
	var free []string // flags whose values are not known
	for _, c := range commands {
		for _, f := range c.flags {
			name := c.name + "--" + f.name
			switch {
			case f.value == "":
			case f.isFile:
				l.add(`    %s) compopt -o filenames 2>/dev/null; local IFS=$'\n'; COMPREPLY=($(compgen -f -- "$cur")); return ;;`, name)
			case len(f.values) > 0:
				l.add(`    %s) COMPREPLY=($(compgen -W '%s' -- "$cur")); return ;;`, name, strings.Join(f.values, " "))
			default:
				free = append(free, name)
			}
		}
	}
	l.add(`    %s) return ;;`, strings.Join(free, "|"))
	l.add(`    esac`)
	l.add(`    case $command in`)
	for _, c := range commands {
		words := c.arguments
		for _, f := range c.flags {
			words = append(words[:len(words):len(words)], "--"+f.name)
		}
		l.add(`    %s) words='%s' ;;`, c.name, strings.Join(words, " "))
	}
	l.add(`    esac
    ((COMP_CWORD > 1)) || words="%s $words"
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -F _wsecho wsecho`, strings.Join(commandNames(commands), " "))
	return l.err
}

// zshScript writes the script for zsh. It works as a file in $fpath and with source.
func zshScript(w io.Writer, commands []completedCommand) error {
	l := &lines{w: w}
	l.add(`#compdef wsecho
# Completion of wsecho for zsh: wsecho completion zsh
_wsecho() {
    local command=%s
    local -a commands
    commands=(`, defaultCommand(commands))
	for _, c := range commands {
		l.add(`        %s`, quoteShell(c.name+":"+escape(c.help, ":")))
	}
	l.add(`    )
    if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then
        _describe command commands
        return
    fi
    case $words[2] in
    %s) command=$words[2]; shift words; (( CURRENT-- )) ;;
    esac
    case $command in`, strings.Join(commandNames(commands), "|"))
	for _, c := range commands {
		l.add(`    %s)
        _arguments \`, c.name)
		for _, f := range c.flags {
			spec := "--" + f.name
			if f.value != "" {
				spec += "="
			}
			if f.repeatable {
				spec = "*" + spec
			}
			spec += "[" + escape(f.help, "[]") + "]"
			switch {
			case f.value == "":
			case f.isFile:
				spec += ":" + f.value + ":_files"
			default:
				spec += ":" + escape(f.value, ":") + ":(" + strings.Join(f.values, " ") + ")"
			}
			l.add(`            %s \`, quoteShell(spec))
		}
		l.add(`            '*:argument:(%s)'
        ;;`, strings.Join(c.arguments, " "))
	}
	l.add(`    esac
}
if [[ $funcstack[1] == _wsecho ]]; then
    _wsecho "$@"
else
    compdef _wsecho wsecho
fi`)
	return l.err
}

// fishScript writes the script for fish.
func fishScript(w io.Writer, commands []completedCommand) error {
	l := &lines{w: w}
	names := strings.Join(commandNames(commands), " ")
	l.add(`# Completion of wsecho for fish: wsecho completion fish
complete -c wsecho -f`)
	for _, c := range commands {
		l.add(`complete -c wsecho -n __fish_use_subcommand -a %s -d %s`, c.name, quoteFish(c.help))
	}
	for _, c := range commands {
		condition := "__fish_seen_subcommand_from " + c.name
		if c.isDefault {
			condition = "not __fish_seen_subcommand_from " + strings.ReplaceAll(" "+names+" ", " "+c.name+" ", " ")
		}
		condition = quoteFish(strings.TrimSpace(condition))
		if len(c.arguments) > 0 {
			l.add(`complete -c wsecho -n %s -a %s`, condition, quoteFish(strings.Join(c.arguments, " ")))
		}
		for _, f := range c.flags {
			kind := ""
			switch {
			case f.value == "":
			case f.isFile:
				kind = " -r -F"
			default:
				kind = fmt.Sprintf(" -x -a %s", quoteFish(strings.Join(f.values, " ")))
			}
			l.add(`complete -c wsecho -n %s -l %s%s -d %s`, condition, f.name, kind, quoteFish(f.help))
		}
	}
	return l.err
}

func commandNames(commands []completedCommand) (names []string) {
	for _, c := range commands {
		names = append(names, c.name)
	}
	return names
}

// defaultCommand returns the name of the command that runs if none is given.
func defaultCommand(commands []completedCommand) string {
	for _, c := range commands {
		if c.isDefault {
			return c.name
		}
	}
	return ""
}

// quoteShell quotes a text for bash and zsh.
func quoteShell(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// quoteFish quotes a text for fish, where a backslash escapes inside quotes.
func quoteFish(text string) string { return "'" + escape(text, "'") + "'" }

// escape puts a backslash before each backslash and each of the characters.
func escape(text, characters string) string {
	var b strings.Builder
	for _, r := range text {
		if r == '\\' || strings.ContainsRune(characters, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
