package ending_test

import (
	"reflect"
	"testing"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
)

// complete reports whether each field has a text that ends as a sentence.
func complete(e ending.Explanation) bool {
	v := reflect.ValueOf(e)
	for i := range v.NumField() {
		if s := v.Field(i).String(); s == "" || s[len(s)-1] != '.' {
			return false
		}
	}
	return true
}

func TestExplain(t *testing.T) {
	for _, k := range ending.Kinds() {
		if e := k.Explain(); !complete(e) {
			t.Errorf("%v: got %+v, want four texts", k, e)
		}
	}
	if got := ending.Open.Explain(); got != (ending.Explanation{}) {
		t.Errorf("Open, which is no ending: got %+v", got)
	}
	if got := ending.Kind(200).Explain(); got != (ending.Explanation{}) {
		t.Errorf("a kind that is none: got %+v", got)
	}
}

func TestExplainCode(t *testing.T) {
	for code := websocket.StatusCode(0); code <= 65535; code++ {
		if name, e := ending.ExplainCode(code); name == "" || !complete(e) {
			t.Fatalf("%d: got %q, %+v, want a name and four texts", code, name, e)
		}
	}
	for code, want := range map[websocket.StatusCode]string{
		-1: "", 0: "not used", 999: "not used", 1000: "normal closure", 1005: "no status received", 1015: "tls handshake",
		1016: "reserved for the protocol", 2999: "reserved for the protocol", 3000: "unauthorized", 3001: "for libraries",
		3999: "for libraries", 4000: "for applications", 4999: "for applications", 5000: "not used", 65536: "",
	} {
		if got, _ := ending.ExplainCode(code); got != want {
			t.Errorf("%d: got %q, want %q", code, got, want)
		}
	}
	last := websocket.StatusCode(0)
	for _, code := range ending.Codes() {
		if code <= last {
			t.Errorf("%d is behind %d", code, last)
		}
		last = code
	}
	// Each code that this side sends has a meaning of its own.
	for _, k := range ending.Kinds() {
		if name, _ := ending.ExplainCode(k.Code()); k.Code() != 0 && name == "reserved for the protocol" {
			t.Errorf("%v has the code %d, which has no explanation", k, k.Code())
		}
	}
}
