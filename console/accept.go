package console

import (
	"net/http"
	"strconv"
	"strings"
)

// acceptsHTML reports whether a client asks for HTML (RFC 9110, section 12.5.1) and does
// not prefer plain text. Programs such as curl send */* and get plain text.
func acceptsHTML(h http.Header) bool {
	html, plain := 0.0, 0.0
	for _, field := range h["Accept"] {
		for element := range strings.SplitSeq(field, ",") {
			typ, q := quality(element)
			switch typ {
			case "text/html", "application/xhtml+xml":
				html = max(html, q)
			case "text/plain":
				plain = q
			}
		}
	}
	return html > 0 && html >= plain
}

// acceptsGzip reports whether a client accepts the content coding gzip.
func acceptsGzip(h http.Header) bool {
	for _, field := range h["Accept-Encoding"] {
		for element := range strings.SplitSeq(field, ",") {
			if coding, q := quality(element); coding == "gzip" {
				return q > 0
			}
		}
	}
	return false
}

// quality splits an element such as "text/html;q=0.8". The default is 1. A weight that
// cannot be parsed is 0.
func quality(element string) (value string, q float64) {
	value, parameters, _ := strings.Cut(element, ";")
	q = 1
	for p := range strings.SplitSeq(parameters, ";") {
		if name, weight, ok := strings.Cut(strings.TrimSpace(p), "="); ok && strings.EqualFold(name, "q") {
			q, _ = strconv.ParseFloat(weight, 64)
		}
	}
	return strings.ToLower(strings.TrimSpace(value)), q
}
