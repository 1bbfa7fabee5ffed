package fault

import (
	"net/http"

	internal "example.com/wsecho/internal/greeting"
)

// A greeting is the message of the parameter hello: what the server sees of a request.
type greeting struct{ internal.Greeting }

// newGreeting keeps the header of r until the greeting is sent.
func newGreeting(r *http.Request, withCredentials bool) *greeting {
	return &greeting{*internal.New(r, withCredentials)}
}

func (g *greeting) json() []byte { return g.JSON() }
