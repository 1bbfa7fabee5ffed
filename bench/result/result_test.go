package result

import (
	"bytes"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	var b bytes.Buffer
	r := &Report{Version: Version, Rounds: 2, Peers: []Peer{{Name: "gws"}}, Cells: []*Cell{{ID: "a", Outcomes: []*Outcome{{Peer: "gws", Rounds: []map[string]float64{{"cpu_us": 1.5}, {}}}}}}}
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	back, err := Read(&b)
	if err != nil {
		t.Fatal(err)
	}
	if v := back.Cells[0].Of("gws").Values("cpu_us"); len(v) != 1 || v[0] != 1.5 {
		t.Errorf("%v", v)
	}
	for in, want := range map[string]string{
		``:                             "it is empty",
		`{`:                            "its end is missing",
		`{"version":3} {"version":1}`:  "data follows it",
		`no`:                           "not a report",
		`{}`:                           "version 0",
		`{"version":3,"peers":[{}]}`:   "peer 1 has no name",
		`{"version":3,"cells":[null]}`: "cell 1 is null",
		`{"version":3,"cells":[{"id":"x","outcomes":[null]}]}`: "outcome 1 of cell 1 (x) names no peer",
		`{"version":3,"cells":[{"id":"x","outcomes":[{}]}]}`:   "outcome 1 of cell 1 (x) names no peer",
	} {
		if _, err := Read(strings.NewReader(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", in, err, want)
		}
	}
}
