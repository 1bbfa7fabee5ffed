package docs

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"example.com/wsecho/ending"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// table returns the cells of the table whose first row begins with head.
func table(t *testing.T, text, head string) (rows [][]string) {
	t.Helper()
	_, text, found := strings.Cut(text, "\n"+head)
	if !found {
		t.Fatalf("no table begins with %q", head)
	}
	text, _, _ = strings.Cut(text, "\n\n")
	for _, line := range strings.Split(text, "\n")[2:] {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	return rows
}

// TestEndings compares the table of kinds with package ending.
func TestEndings(t *testing.T) {
	rows := table(t, read(t, "endings.md"), "| kind | what happened |")
	kinds := ending.Kinds()
	if len(rows) != len(kinds) {
		t.Errorf("got %d rows, want %d", len(rows), len(kinds))
	}
	for i, row := range rows[:min(len(rows), len(kinds))] {
		k := kinds[i]
		name, happened, by, sent, gone := row[0], row[1], row[2], row[3], row[4]
		if name != k.String() {
			t.Errorf("row %d: got kind %q, want %q", i, name, k)
			continue
		}
		if want := k.Explain().Meaning; happened != want {
			t.Errorf("%v: what happened: got %q, want %q", k, happened, want)
		}
		if want := k.By().String(); strings.Trim(by, "–") != want {
			t.Errorf("%v: began: got %q, want %q", k, by, want)
		}
		if k == ending.Unknown {
			if sent != "1011" { // the server's code for an error without a name
				t.Errorf("%v: close code sent: got %q, want 1011", k, sent)
			}
		} else if want := strconv.Itoa(int(k.Code())); k.Code() != 0 && sent != want {
			t.Errorf("%v: close code sent: got %q, want %q", k, sent, want)
		} else if _, err := strconv.Atoi(sent); k.Code() == 0 && err == nil {
			t.Errorf("%v: close code sent: got %q, want no code of the kind", k, sent)
		}
		if (gone == "yes") != k.Gone() {
			t.Errorf("%v: Gone: got %q, want %t", k, gone, k.Gone())
		}
	}
}

// TestCodes compares the table of close codes with package ending.
func TestCodes(t *testing.T) {
	rows := table(t, read(t, "endings.md"), "| code | name |")
	codes := ending.Codes()
	if len(rows) != len(codes) {
		t.Errorf("got %d rows, want %d", len(rows), len(codes))
	}
	for i, row := range rows[:min(len(rows), len(codes))] {
		name, text := ending.ExplainCode(codes[i])
		if want := []string{strconv.Itoa(int(codes[i])), name, text.Meaning, text.Sender}; !slices.Equal(row, want) {
			t.Errorf("row %d: got %q, want %q", i, row, want)
		}
	}
}

// TestAbnormalKinds compares the list of abnormal kinds with package ending.
func TestAbnormalKinds(t *testing.T) {
	_, list, found := strings.Cut(read(t, "endings.md"), "`Kind.Abnormal()`")
	list, _, end := strings.Cut(list, "\n\n")
	list = strings.Join(strings.Fields(list), " ")
	if !found || !end {
		t.Fatal("endings.md has no paragraph about Kind.Abnormal")
	}
	for _, k := range ending.Kinds() {
		if got := strings.Contains(list, "`"+k.String()+"`"); got != k.Abnormal() {
			t.Errorf("%v: listed %t, want %t", k, got, k.Abnormal())
		}
	}
}

// TestDeployedKinds compares the lists of abnormal kinds in the dashboard and the alerts
// with package ending. A query with fewer kinds would miss endings silently.
func TestDeployedKinds(t *testing.T) {
	var want []string
	for _, k := range ending.Kinds() {
		if k.Abnormal() {
			want = append(want, k.String())
		}
	}
	for _, file := range []string{"../deploy/grafana/dashboard.json", "../deploy/prometheus/alerts.yaml"} {
		lists := regexp.MustCompile(`kind=~\\?"([^"\\]*)`).FindAllStringSubmatch(read(t, file), -1)
		if len(lists) == 0 {
			t.Errorf("%s has no list of kinds", file)
		}
		for _, list := range lists {
			if got := strings.Split(list[1], "|"); !slices.Equal(got, want) {
				t.Errorf("%s: got the kinds %q, want %q", file, got, want)
			}
		}
	}
}
