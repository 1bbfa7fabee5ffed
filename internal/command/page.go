package command

import (
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"example.com/wsecho/console"
	"example.com/wsecho/fault"
	"example.com/wsecho/server"
)

// page returns the handler of the browser page. The server answers all other requests.
func (f *serveCommand) page() http.Handler {
	return console.New(console.Options{Faults: f.pageFaults(), Next: http.HandlerFunc(server.ServePlain)})
}

// adminPage returns the handler of the page on --admin-addr, which also has the open
// connections. next answers all other requests. The page proposes the first TCP socket.
func (f *serveCommand) adminPage(sockets listenerSet, overTLS bool, admin net.Listener, next http.Handler) http.Handler {
	o := console.Options{Faults: f.pageFaults(), Watch: true, Next: next}
	scheme := "ws"
	if overTLS {
		scheme = "wss"
	}
	for _, l := range sockets {
		if o.Endpoint = f.withServedHost(clientURL(scheme, seenFrom(admin, l.Addr()))); o.Endpoint != "" {
			break
		}
	}
	return console.New(o)
}

// seenFrom returns the address of a socket for a browser that reaches the admin listener. A
// socket of every address also has that of the listener, if other machines can use it.
func seenFrom(admin net.Listener, socket net.Addr) net.Addr {
	addr, ok := socket.(*net.TCPAddr)
	if !ok || admin == nil || !addr.IP.IsUnspecified() {
		return socket
	}
	own := admin.Addr().(*net.TCPAddr)
	if own.IP.IsUnspecified() || own.IP.IsLoopback() {
		return socket
	}
	return &net.TCPAddr{IP: own.IP, Zone: own.Zone, Port: addr.Port}
}

// withServedHost returns the URL with the first host of --host. It returns the URL
// unchanged if that flag also lists the host of the URL or is not set.
func (f *serveCommand) withServedHost(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || len(f.Host) == 0 {
		return endpoint
	}
	for _, h := range f.Host {
		if strings.EqualFold(h, u.Host) || strings.EqualFold(strings.Trim(h, "[]"), u.Hostname()) {
			return endpoint
		}
	}
	port := u.Port()
	u.Host = f.Host[0]
	if _, _, err := net.SplitHostPort(u.Host); err != nil {
		u.Host = net.JoinHostPort(strings.Trim(u.Host, "[]"), port)
	}
	return u.String()
}

// adminOrigins returns the origins of the page on --admin-addr, which talks to the server
// on its other port. The local ones are another machine's in a browser there. The others
// are of this machine only.
func adminOrigins(l net.Listener) (local, others []string) {
	if l == nil {
		return nil, nil
	}
	addr := l.Addr().(*net.TCPAddr)
	ip := addr.IP
	if ip.IsUnspecified() {
		ip = net.IPv4(127, 0, 0, 1)
	}
	port := strconv.Itoa(addr.Port)
	local = []string{"http://" + net.JoinHostPort("localhost", port)}
	own := "http://" + net.JoinHostPort(ip.String(), port)
	if ip.IsLoopback() {
		return append(local, own), nil
	}
	return local, []string{own}
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
