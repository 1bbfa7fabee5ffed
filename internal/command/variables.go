package command

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// prefix begins the name of each variable of wsecho.
const prefix = "WSECHO_"

// cleanVariables removes blanks, line ends and quotes around the value of each variable of
// wsecho. Files of variables may contain them. It unsets the empty ones. Some environments
// can set a variable but not unset it.
func cleanVariables(environ []string) error {
	for _, v := range environ {
		name, value, _ := strings.Cut(v, "=")
		clean := unquote(value)
		var err error
		switch {
		case !strings.HasPrefix(name, prefix):
		case clean == "":
			err = os.Unsetenv(name)
		case clean != value:
			err = os.Setenv(name, clean)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unquote removes the white space around a text, and then a pair of quotes.
func unquote(text string) string {
	text = strings.TrimSpace(text)
	if n := len(text); n >= 2 && (text[0] == '"' || text[0] == '\'') && text[n-1] == text[0] {
		text = strings.TrimSpace(text[1 : n-1])
	}
	return text
}

// serviceLink matches a variable that Kubernetes sets for a Service whose name begins
// with wsecho, and its value.
var serviceLink = regexp.MustCompile(`^WSECHO_(\w+_)?(SERVICE_HOST=|SERVICE_PORT(_\w+)?=|PORT=\w+://|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?=)`)

// unknownVariables returns a sentence for each variable that begins with WSECHO_ and has
// no flag and no argument. Service links and the variables of our tests are no mistakes.
func unknownVariables(environ []string, app *kong.Application) (sentences []string) {
	var names []string
	for _, c := range app.Children {
		for _, f := range c.Flags {
			names = append(names, f.Envs...)
		}
		for _, arg := range c.Positional {
			names = append(names, arg.Tag.Envs...)
		}
	}
	for _, v := range environ {
		name, _, _ := strings.Cut(v, "=")
		if !strings.HasPrefix(name, prefix) || strings.HasPrefix(name, prefix+"TEST_") || slices.Contains(names, name) || serviceLink.MatchString(v) {
			continue
		}
		sentence := fmt.Sprintf("the variable %s is unknown", name)
		if n := nearest(name, names); n != "" {
			sentence += "; the nearest name is " + n
		}
		sentences = append(sentences, sentence)
	}
	slices.Sort(sentences)
	return sentences
}

// synonyms are words for settings that have another name here.
var synonyms = map[string]string{
	"PORT": "ADDR", "LISTEN": "ADDR", "BIND": "ADDR", "ADDRESS": "ADDR",
	"ORIGINS": "ORIGIN", "ALLOWED_ORIGINS": "ORIGIN", "MAX_MESSAGE_SIZE": "READ_LIMIT", "MAX_CONNECTIONS": "MAX_CONNS",
}

// nearest returns the name that a wrong one probably means, "" if none is near.
func nearest(wrong string, names []string) string {
	if s, ok := synonyms[strings.TrimPrefix(wrong, prefix)]; ok {
		return prefix + s
	}
	best, least := "", 4 // edits; more are another word
	for _, n := range names {
		if d := edits(wrong, n); d < least && d < len(n)-len(prefix) {
			best, least = n, d
		}
	}
	return best
}

// edits returns the number of bytes to insert, delete or replace to turn a into b.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j]+1, row[j+1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
