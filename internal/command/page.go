package command

import (
	"net/http"

	"example.com/wsecho/console"
	"example.com/wsecho/fault"
)

// page returns the handler of the browser page. next answers all other requests.
func (f *serveCommand) page(next http.HandlerFunc) http.Handler {
	return console.New(console.Options{Faults: f.pageFaults(), Next: next})
}

// pageFaults returns the faults that the server has.
func (f *serveCommand) pageFaults() []console.Fault {
	if f.NoFaults {
		return nil
	}
	var all []console.Fault
	for _, p := range fault.Parameters() {
		all = append(all, console.Fault(p))
	}
	return all
}
