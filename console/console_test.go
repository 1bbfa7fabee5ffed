package console_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"example.com/wsecho/console"
	"example.com/wsecho/ending"
)

// next is the handler behind the page.
var next = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(http.StatusTeapot)
})

func get(h http.Handler, method, path string, header ...string) *http.Response {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAccept(t *testing.T) {
	const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
	page := console.New(console.Options{Next: next})
	for _, test := range []struct {
		method, path, accept string
		isPage               bool
	}{
		{"GET", "/", browser, true},
		{"HEAD", "/", browser, true},
		{"GET", "/", "text/html", true},
		{"GET", "/", "TEXT/HTML ; q=0.1", true},
		{"GET", "/", "text/plain;q=0.5, text/html;q=0.5", true},
		{"GET", "/", "application/xhtml+xml", true},
		{"GET", "/", "text/plain, text/html;q=0.5", false},
		{"GET", "/", "text/html;q=0", false},
		{"GET", "/", "text/html;q=x", false},
		{"GET", "/", "text/*", false},
		{"GET", "/", "*/*", false},
		{"GET", "/", "application/json", false},
		{"POST", "/", browser, false},
		{"GET", "/index.html", browser, false},
		{"GET", "/console", browser, false},
		{"GET", "/console/", browser, false},
		{"GET", "/console/index.html", browser, false},
		{"GET", "/console/none.js", browser, false},
		{"GET", "/console/../console.go", browser, false},
		{"GET", "/healthz", browser, false},
	} {
		r := get(page, test.method, test.path, "Accept", test.accept)
		if got := r.StatusCode == http.StatusOK; got != test.isPage {
			t.Errorf("%s %s, Accept: %s: got status %d", test.method, test.path, test.accept, r.StatusCode)
		}
		if vary := strings.Join(r.Header.Values("Vary"), ", "); test.path == "/" && test.method != "POST" && !strings.Contains(vary, "Accept") {
			t.Errorf("%s %s: Vary is %q", test.method, test.path, vary)
		}
	}
	if r := get(page, "GET", "/"); r.StatusCode != http.StatusTeapot {
		t.Errorf("without Accept: got status %d", r.StatusCode)
	}
	if r := get(console.New(console.Options{}), "GET", "/"); r.StatusCode != http.StatusNotFound {
		t.Errorf("without Next: got status %d", r.StatusCode)
	}
}

// assets returns the paths of all files below assets but those of the plot library.
func assets(t *testing.T) (own, vendor []string) {
	t.Helper()
	if err := fs.WalkDir(os.DirFS("assets"), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || d.IsDir():
		case strings.HasPrefix(name, "vendor/"):
			vendor = append(vendor, name)
		default:
			own = append(own, name)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return own, vendor
}

// address returns the path of a file, and the Accept header that requests it.
func address(name string) (path, accept string) {
	if name == "index.html" {
		return "/", "text/html"
	}
	return console.Prefix + name, "*/*"
}

func TestFiles(t *testing.T) {
	page := console.New(console.Options{})
	types := map[string]string{
		".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
		".json": "application/json", ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8",
	}
	own, vendor := assets(t)
	for _, name := range append(append(own, vendor...), "data.json") {
		path, accept := address(name)
		plain := get(page, "GET", path, "Accept", accept)
		want := body(t, plain)
		if file, err := os.ReadFile(filepath.Join("assets", name)); err == nil && string(file) != want {
			t.Errorf("%s: the body is another one", name)
		}
		for field, want := range map[string]string{
			"Content-Type":           types[filepath.Ext(name)],
			"Content-Length":         fmt.Sprint(len(want)),
			"Cache-Control":          "no-cache",
			"X-Content-Type-Options": "nosniff",
			"Referrer-Policy":        "no-referrer",
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' ws: wss:; " +
				"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		} {
			if got := plain.Header.Get(field); got != want || want == "" {
				t.Errorf("%s: %s is %q, want %q", name, field, got, want)
			}
		}
		head := get(page, "HEAD", path, "Accept", accept)
		if got := body(t, head); got != "" || head.Header.Get("Content-Length") != plain.Header.Get("Content-Length") {
			t.Errorf("HEAD of %s: got %d bytes, Content-Length %s", name, len(got), head.Header.Get("Content-Length"))
		}

		coded := get(page, "GET", path, "Accept", accept, "Accept-Encoding", "br, gzip;q=0.5")
		z, err := gzip.NewReader(coded.Body)
		if err != nil {
			t.Fatal(name, err)
		}
		if got, err := io.ReadAll(z); err != nil || string(got) != want || coded.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%s: gzip is wrong: %v", name, err)
		}
		if r := get(page, "GET", path, "Accept", accept, "Accept-Encoding", "gzip;q=0"); r.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: gzip was refused", name)
		}

		tag, codedTag := plain.Header.Get("Etag"), coded.Header.Get("Etag")
		if tag == codedTag || tag == "" {
			t.Errorf("%s: the tags are %s and %s", name, tag, codedTag)
		}
		for match, status := range map[string]int{tag: 304, `"x", W/` + tag: 304, "*": 304, codedTag: 200, `"x"`: 200} {
			r := get(page, "GET", path, "Accept", accept, "If-None-Match", match)
			if got := body(t, r); r.StatusCode != status || (status == 304) != (got == "") || r.Header.Get("Etag") != tag {
				t.Errorf("%s, If-None-Match: %s: got %d with %d bytes", name, match, r.StatusCode, len(got))
			}
		}
	}
}

// TestSize bounds what a browser loads besides the plot library: compressed, as all
// browsers request it.
func TestSize(t *testing.T) {
	page := console.New(console.Options{Watch: true})
	own, _ := assets(t)
	transferred, raw := 0, 0
	for _, name := range append(own, "data.json") {
		path, accept := address(name)
		transferred += len(body(t, get(page, "GET", path, "Accept", accept, "Accept-Encoding", "gzip")))
		raw += len(body(t, get(page, "GET", path, "Accept", accept)))
	}
	t.Logf("%d files: %d bytes, %d compressed", len(own)+1, raw, transferred)
	if transferred > 60_000 {
		t.Errorf("the page has %d bytes without the plot library, want at most 60000", transferred)
	}
}

const svgNamespace = "http://www.w3.org/2000/svg"

// TestReferences checks that each file that the page names exists, and that it names no
// other host. The policy forbids code in the markup, so it checks that there is none.
func TestReferences(t *testing.T) {
	own, vendor := assets(t)
	exists := make(map[string]bool)
	for _, name := range append(append(own, vendor...), "data.json") {
		exists[name] = true
	}
	used := make(map[string]bool)
	reference := regexp.MustCompile(`(?:(?:src|href)="console/|(?:from |import\(|URL\()"\.?/?)([\w./]+\.\w+)"`)
	for _, name := range own {
		text, err := os.ReadFile(filepath.Join("assets", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range reference.FindAllSubmatch(text, -1) {
			used[string(m[1])] = true
			if !exists[string(m[1])] {
				t.Errorf("%s names %s, which does not exist", name, m[1])
			}
		}
		for _, forbidden := range []string{`https?://\w`, `innerHTML`, `outerHTML`, `insertAdjacentHTML`, `document\.write`, `\beval\(`, `new Function`, `@import`} {
			if found := regexp.MustCompile(forbidden).Find(bytes.ReplaceAll(text, []byte(svgNamespace), nil)); found != nil {
				t.Errorf("%s has %q", name, found)
			}
		}
		if name == "index.html" {
			if found := regexp.MustCompile(`<script[^>]*>[^<]|<style| style=| on\w+=`).Find(text); found != nil {
				t.Errorf("%s has code in its markup: %q", name, found)
			}
		}
	}
	for _, name := range own {
		if name != "index.html" && !used[name] {
			t.Errorf("%s is not used", name)
		}
	}
}

// A document is data.json.
type document struct {
	Endpoint string
	Watch    bool
	Faults   []console.Fault
	Codes    []text
	Ranges   []text
	Kinds    []text
}

type text struct {
	From, To                       int
	Kind, By, Name                 string
	Meaning, Sender, Causes, Check string
}

func TestDocument(t *testing.T) {
	options := console.Options{Endpoint: "ws://a/", Watch: true, Faults: []console.Fault{{Name: "drop", Example: "fin", Valid: "fin or rst", Effect: "ends TCP"}}}
	var got document
	if err := json.Unmarshal([]byte(body(t, get(console.New(options), "GET", "/console/data.json"))), &got); err != nil {
		t.Fatal(err)
	}
	if got.Endpoint != options.Endpoint || !got.Watch || len(got.Faults) != 1 || got.Faults[0] != options.Faults[0] {
		t.Errorf("got %+v", got)
	}
	if len(got.Codes) != len(ending.Codes()) || len(got.Kinds) != len(ending.Kinds()) {
		t.Errorf("got %d codes and %d kinds", len(got.Codes), len(got.Kinds))
	}
	for i, k := range ending.Kinds() {
		if e := k.Explain(); got.Kinds[i].Kind != k.String() || got.Kinds[i].Meaning != e.Meaning || !strings.HasPrefix(got.Kinds[i].Sender, e.Sender) {
			t.Errorf("%v: got %+v", k, got.Kinds[i])
		}
	}
	// Every code has the text of ExplainCode.
	for code := 0; code <= 65535; code++ {
		name, e := ending.ExplainCode(websocket.StatusCode(code))
		want := text{Name: name, Meaning: e.Meaning, Sender: e.Sender, Causes: e.Causes, Check: e.Check}
		found := find(got, code)
		found.From, found.To = 0, 0
		if found != want {
			t.Fatalf("%d: got %+v, want %+v", code, found, want)
		}
	}
}

// find returns the text of a code as the page does.
func find(d document, code int) text {
	for _, c := range d.Codes {
		if c.From == code {
			return c
		}
	}
	for _, r := range d.Ranges {
		if r.From <= code && code <= r.To {
			return r
		}
	}
	return text{}
}
