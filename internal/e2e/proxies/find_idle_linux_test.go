package proxies

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/wsecho/internal/testfull"
)

// TestFindIdle checks that wsecho probe finds the idle timeouts of nginx and HAProxy within
// 5 %, in each direction. With the fault send, only the client is silent. A busy machine
// may need a second attempt.
func TestFindIdle(t *testing.T) {
	t.Parallel()
	const never = 0
	sends := "?send=100000&every=200ms"
	for _, test := range []struct {
		kind                         string
		client, server               int // timeouts in seconds; equal if the proxy has only one
		query                        string
		both, clientOnly, serverOnly int // the silences that are found, in seconds
		full                         bool
	}{
		{kind: "nginx", client: 3, server: 3, both: 3, serverOnly: never},
		{kind: "nginx", client: 3, server: 3, query: sends, clientOnly: never, serverOnly: never},
		{kind: "haproxy", client: 3, server: 3, both: 3, serverOnly: never},
		{kind: "haproxy", client: 3, server: 3, query: sends, clientOnly: never, serverOnly: never},
		{kind: "haproxy-tcp", client: 3, server: 5, query: sends, clientOnly: 3, serverOnly: never},
		{kind: "nginx", client: 5, server: 5, both: 5, serverOnly: never, full: true},
		{kind: "haproxy", client: 5, server: 5, both: 5, serverOnly: never, full: true},
		{kind: "haproxy-tcp", client: 3, server: 5, both: 3, serverOnly: 5, full: true},
		{kind: "haproxy-tcp", client: 5, server: 3, both: 3, serverOnly: 3, full: true},
		{kind: "haproxy-tcp", client: 5, server: 3, query: sends, clientOnly: 5, serverOnly: never, full: true},
	} {
		k := kinds()[slices.IndexFunc(kinds(), func(k kind) bool { return k.name == test.kind })]
		t.Run(fmt.Sprintf("%s %d s %d s%s", k.name, test.client, test.server, test.query), func(t *testing.T) {
			t.Parallel()
			if test.full {
				testfull.Only(t, "a search for 5 s takes 15 s")
			}
			s := start(t, k.flags("--ping-interval=off")...)
			p := k.serve(t, []*wsecho{s}, k.idleOf(test.client, test.server)...)
			want := map[string]int{"both": test.both, "server": test.serverOnly}
			if test.query != "" {
				want = map[string]int{"client": test.clientOnly, "server": test.serverOnly}
			}
			var wrong string
			for range 4 {
				if wrong = findIdle(t, "ws://"+p.addr+"/"+test.query, want); wrong == "" {
					return
				}
			}
			t.Error(wrong)
		})
	}
}

// idleOf returns the substitutions for these timeouts.
func (k kind) idleOf(client, server int) []string {
	if k.name != "haproxy-tcp" {
		pairs := k.idle()
		for i := 1; i < len(pairs); i += 2 {
			pairs[i] = strings.ReplaceAll(pairs[i], " 3s", fmt.Sprintf(" %ds", client))
		}
		return pairs
	}
	// Otherwise data in one direction counts for the other one, too.
	const independent = "\n    option independent-streams"
	return []string{
		"timeout client 60s", fmt.Sprintf("timeout client %ds%s", client, independent),
		"timeout server 60s", fmt.Sprintf("timeout server %ds%s", server, independent),
	}
}

// findIdle runs wsecho probe. It returns what is wrong with the silences that it finds.
func findIdle(t *testing.T, url string, want map[string]int) (wrong string) {
	t.Helper()
	began := time.Now()
	finder := run(t, t.TempDir(), "wsecho", "probe", "--find-idle-timeout", "--max-idle=7s", "--timeout=20s", "--json", "--quiet", url)
	finder.await(t, "it has finished", func() bool { return strings.Contains(finder.text(), "idle_summary") })
	t.Logf("measured: %v\n%s", time.Since(began).Round(time.Millisecond), finder.text())
	found := 0
	for line := range strings.Lines(finder.text()) {
		var r struct {
			Event, Silent string
			Survived      float64 `json:"survived_seconds"`
			Failed        float64 `json:"failed_seconds"`
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		seconds, ok := want[r.Silent]
		low, high := float64(seconds)*0.95, float64(seconds)*1.05
		switch {
		case r.Event != "idle":
			continue
		case !ok:
			return fmt.Sprintf("the side %q is silent, want one of %v", r.Silent, want)
		case seconds == 0 && r.Failed > 0, seconds > 0 && (r.Survived < low || r.Survived > high || r.Failed < low || r.Failed > high):
			return fmt.Sprintf("silent %s: got %v to %v s, want %d s within 5 %%, or never for 0", r.Silent, r.Survived, r.Failed, seconds)
		}
		found++
	}
	if found != len(want) {
		return fmt.Sprintf("got %d results, want %d", found, len(want))
	}
	return ""
}
