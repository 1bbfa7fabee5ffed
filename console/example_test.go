package console_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"example.com/wsecho/console"
	"example.com/wsecho/fault"
)

// A program serves the page for browsers, and its own handler for all other clients.
func ExampleNew() {
	own := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "connect with a WebSocket client")
	})
	options := console.Options{Next: own}
	for _, p := range fault.Parameters() { // if the server has Options.PerConn of package fault
		options.Faults = append(options.Faults, console.Fault(p))
	}
	site := httptest.NewServer(console.New(options))
	defer site.Close()

	for _, accept := range []string{"text/html", "*/*"} {
		request, _ := http.NewRequest(http.MethodGet, site.URL, nil)
		request.Header.Set("Accept", accept)
		response, err := site.Client().Do(request)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(io.LimitReader(response.Body, 15))
		response.Body.Close()
		fmt.Printf("%s: %q\n", response.Header.Get("Content-Type"), body)
	}
	// Output:
	// text/html; charset=utf-8: "<!doctype html>"
	// text/plain; charset=utf-8: "connect with a "
}
