package command

import (
	"io"
	"os"
	"slices"
	"testing"
)

// TestCleanVariables checks that white space and quotes around values are removed, and
// that empty variables are unset.
func TestCleanVariables(t *testing.T) {
	for _, test := range []struct{ name, value, want string }{
		{"WSECHO_ADDR", "", "unset"},
		{"WSECHO_ADDR", " \r\n", "unset"},
		{"WSECHO_ADDR", `""`, "unset"},
		{"WSECHO_ADDR", ":8080\r", ":8080"},
		{"WSECHO_ADDR", `":8080"`, ":8080"},
		{"WSECHO_ADDR", "':8080' \r\n", ":8080"},
		{"WSECHO_CHECK_HEADER", `A: "b"`, `A: "b"`},
		{"WSECHOES", "", ""},
		{"WSECHOES", " x ", " x "},
	} {
		t.Setenv(test.name, test.value)
		if err := cleanVariables(os.Environ()); err != nil {
			t.Fatal(err)
		}
		got, ok := os.LookupEnv(test.name)
		if !ok {
			got = "unset"
		}
		if got != test.want {
			t.Errorf("%s=%q became %q, want %q", test.name, test.value, got, test.want)
		}
	}
}

// TestLists checks that white space and quotes around the elements of lists are removed.
func TestLists(t *testing.T) {
	want := []string{"https://a.example", "https://b.example"}
	for _, value := range []string{
		"https://a.example,https://b.example",
		"https://a.example, https://b.example",
		"\"https://a.example, https://b.example\"\r",
		`"https://a.example", "https://b.example"`,
		"'https://a.example' ,\thttps://b.example\r\n",
	} {
		t.Setenv("WSECHO_ORIGIN", value)
		if err := cleanVariables(os.Environ()); err != nil {
			t.Fatal(err)
		}
		if got := parsed(t).Origin; !slices.Equal(got, want) {
			t.Errorf("WSECHO_ORIGIN=%q is %q, want %q", value, got, want)
		}
	}
	if got := parsed(t, "--origin=https://c.example").Origin; !slices.Equal(got, []string{"https://c.example"}) {
		t.Errorf("the flag beside the variable gives %q", got)
	}
	if got := parsed(t, "--origin=a.example, b.example", "--origin", "c.example").Origin; !slices.Equal(got, []string{"a.example", "b.example", "c.example"}) {
		t.Errorf("two flags give %q", got)
	}
	if got := parsed(t, "--host=").Host; !slices.Equal(got, []string{""}) {
		t.Errorf("--host= gives %q, want an empty element, which is refused", got)
	}
}

// TestUnknownVariables checks which variables are reported, and with which name.
func TestUnknownVariables(t *testing.T) {
	var line commandLine
	parser, err := newParser(&line, "", streams{io.Discard, io.Discard}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ variable, want string }{
		{"WSECHO_ADDR=:1", ""},
		{"WSECHO_BENCH_RATE=1", ""},
		{"WSECHO_CHECK_TIMEOUT=1s", ""},
		{"WSECHO_CHECK_URL=ws://127.0.0.1:8080/", ""},
		{"WSECHOES=1", ""},
		{"PATH=/bin", ""},
		{"WSECHO_TEST_FULL=1", ""},

		// Kubernetes sets these for the Services wsecho and wsecho-public.
		{"WSECHO_SERVICE_HOST=10.0.0.1", ""},
		{"WSECHO_SERVICE_PORT=80", ""},
		{"WSECHO_SERVICE_PORT_HTTP=80", ""},
		{"WSECHO_PORT=tcp://10.0.0.1:80", ""},
		{"WSECHO_PORT_80_TCP=tcp://10.0.0.1:80", ""},
		{"WSECHO_PORT_80_TCP_PROTO=tcp", ""},
		{"WSECHO_PORT_80_TCP_PORT=80", ""},
		{"WSECHO_PORT_80_TCP_ADDR=10.0.0.1", ""},
		{"WSECHO_PORT_53_UDP=udp://10.0.0.1:53", ""},
		{"WSECHO_PUBLIC_SERVICE_HOST=10.0.0.1", ""},
		{"WSECHO_PUBLIC_PORT=tcp://10.0.0.1:80", ""},
		{"WSECHO_PUBLIC_PORT_80_TCP_ADDR=10.0.0.1", ""},

		{"WSECHO_PORT=8080", "the variable WSECHO_PORT is unknown; the nearest name is WSECHO_ADDR"},
		{"WSECHO_ORIGINS=a", "the variable WSECHO_ORIGINS is unknown; the nearest name is WSECHO_ORIGIN"},
		{"WSECHO_PING_INTREVAL=1s", "the variable WSECHO_PING_INTREVAL is unknown; the nearest name is WSECHO_PING_INTERVAL"},
		{"WSECHO_MAX_CONN=1", "the variable WSECHO_MAX_CONN is unknown; the nearest name is WSECHO_MAX_CONNS"},
		{"WSECHO_BENCH_RATES=1", "the variable WSECHO_BENCH_RATES is unknown; the nearest name is WSECHO_BENCH_RATE"},
		{"WSECHO_FAVOURITE_COLOUR=red", "the variable WSECHO_FAVOURITE_COLOUR is unknown"},
		{"WSECHO_=", "the variable WSECHO_ is unknown"},
	} {
		got := unknownVariables([]string{test.variable}, parser.Model)
		if len(got) > 1 || len(got) == 1 != (test.want != "") || len(got) == 1 && got[0] != test.want {
			t.Errorf("%s: got %q, want %q", test.variable, got, test.want)
		}
	}
}
