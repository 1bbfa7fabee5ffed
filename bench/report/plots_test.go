package report_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"example.com/wsecho/bench/report"
	"example.com/wsecho/bench/result"
)

// wellFormed fails the test if a plot is not valid SVG, or needs another file.
func wellFormed(t *testing.T, p report.Plot) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(p.SVG))
	texts := map[string]string{}
	open := ""
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", p.Name, err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			open = token.Name.Local
			for _, a := range token.Attr {
				switch {
				case a.Name.Local == "href" || a.Name.Local == "style" || strings.Contains(a.Value, "url("):
					t.Errorf("%s: %s has %s=%q", p.Name, open, a.Name.Local, a.Value)
				case a.Name.Local == "d" && !regexp.MustCompile(`^[MLAZ0-9 .-]+$`).MatchString(a.Value):
					t.Errorf("%s: a path has the coordinates %q", p.Name, a.Value)
				}
			}
		case xml.CharData:
			texts[open] += string(token)
		}
	}
	if !strings.Contains(texts["title"], p.Title) || !strings.Contains(texts["desc"], p.Caption) || p.Title == "" || p.Caption == "" {
		t.Errorf("%s: the title is %q, the description %q", p.Name, texts["title"], texts["desc"])
	}
	if !strings.Contains(texts["style"], "prefers-color-scheme:dark") {
		t.Errorf("%s has no dark colours", p.Name)
	}
	if len(p.SVG) > 64<<10 {
		t.Errorf("%s has %d bytes", p.Name, len(p.SVG))
	}
}

func TestPlots(t *testing.T) {
	r := synthetic(5)
	plots, err := report.Plots(r)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range plots {
		names = append(names, p.Name)
		wellFormed(t, p)
	}
	if want := []string{"cost-chosen", "cost-by-size", "rate-by-size", "latency-by-load", "memory-by-connections", "memory-idle"}; !slices.Equal(names, want) {
		t.Fatalf("the plots are %q, want %q", names, want)
	}
	has := func(p report.Plot, what ...string) {
		t.Helper()
		for _, s := range what {
			if !bytes.Contains(p.SVG, []byte(">"+s+"</text>")) {
				t.Errorf("%s does not contain %q", p.Name, s)
			}
		}
	}
	for _, p := range r.Peers {
		if p.Skipped == "" && p.Name != result.Base {
			has(plots[0], p.Name)
		}
		if p.Full {
			for _, one := range plots[1:] {
				has(one, p.Name)
			}
		}
	}
	has(plots[0], "÷ gorilla", "1.04 n.s.", "connect, 5 B, close")
	has(plots[1], "1 in flight", "16 in flight", "size of a message", "server CPU per message", "4 KiB", "100 µs")
	has(plots[2], "rate, messages/s")
	has(plots[3], "p50", "p99", "p99.9", "25 %", "10 ms")
	has(plots[4], "connections", "resident memory, MiB")
	has(plots[5], "10,000 connections", "resident memory, KiB/connection")
	if want := "16 in flight: 64 connections, 16 for 1 MiB."; !strings.Contains(plots[1].Caption, want) {
		t.Errorf("%q is not in %q", want, plots[1].Caption)
	}
}

// TestColours: a peer has the same colour in all plots, and peers with curves have
// different colours. All colours contrast with the ground, light and dark.
func TestColours(t *testing.T) {
	plots, err := report.Plots(synthetic(5))
	if err != nil {
		t.Fatal(err)
	}
	of := map[string]string{}
	for _, p := range plots[1:5] { // a marker precedes each label
		for _, m := range regexp.MustCompile(`<path class="f-(p\d)"[^>]*/>\n<text[^>]*>([a-z-]+)</text>`).FindAllSubmatch(p.SVG, -1) {
			name, color := string(m[2]), string(m[1])
			if before, ok := of[name]; ok && before != color {
				t.Errorf("%s: %s is %s, but %s in another plot", p.Name, name, color, before)
			}
			of[name] = color
		}
	}
	colors := map[string]bool{}
	for _, c := range of {
		colors[c] = true
	}
	if len(of) != 4 || len(colors) != 4 {
		t.Errorf("the colours are %v", of)
	}
	light, dark, _ := strings.Cut(string(plots[0].SVG), "@media")
	for scheme, style := range map[string]string{"light": light, "dark": dark} {
		found := map[string]float64{}
		for _, m := range regexp.MustCompile(`\.f-(\w+)\{fill:#([0-9a-f]{6})\}`).FindAllStringSubmatch(style, -1) {
			found[m[1]] = luminance(t, m[2])
		}
		for name, least := range map[string]float64{"ink": 7, "faint": 4.5, "p0": 3, "p1": 3, "p2": 3, "p3": 3, "p4": 3, "p5": 3, "p6": 3, "others": 3} {
			a, b := found[name]+0.05, found["ground"]+0.05
			if c := max(a, b) / min(a, b); c < least {
				t.Errorf("%s: the contrast of %s is %.1f, want %.1f", scheme, name, c, least)
			}
		}
	}
}

// luminance is the relative luminance of WCAG.
func luminance(t *testing.T, hex string) (l float64) {
	t.Helper()
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		l += weight * linear(float64(n)/255)
	}
	return l
}

func linear(v float64) float64 {
	if v <= 0.04045 {
		return v / 12.92
	}
	return math.Pow((v+0.055)/1.055, 2.4)
}
