package command

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
)

// privateRanges are the ranges that isPublic excludes. They are multicast, and the special
// addresses (RFC 6890) that are not reachable from everywhere.
var privateRanges = prefixes(`
	0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
	192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
	168.63.129.16/32
	2001::/23 2001:db8::/32 2002::/16 3fff::/20`) // 168.63.129.16 is the host of a virtual machine in Azure

var (
	globalUnicast = netip.MustParsePrefix("2000::/3")
	nat64         = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052: the last four bytes are an IPv4 address
)

func prefixes(text string) (all []netip.Prefix) {
	for _, p := range strings.Fields(text) {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

// isPublic reports whether an address is that of a host on the internet. Addresses of this
// machine, its network or its cloud are not.
func isPublic(addr netip.Addr) bool {
	addr = addr.Unmap()
	if b := addr.As16(); nat64.Contains(addr) {
		addr = netip.AddrFrom4([4]byte(b[12:]))
	}
	return (addr.Is4() || globalUnicast.Contains(addr)) &&
		!slices.ContainsFunc(privateRanges, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// isOwn reports whether an address is one of these interfaces. The system delivers a
// connection to such an address to itself, past every firewall of the network.
func isOwn(addr netip.Addr, interfaces []net.Addr) bool {
	return slices.ContainsFunc(interfaces, func(a net.Addr) bool {
		p, err := netip.ParsePrefix(a.String())
		return err == nil && p.Addr().Unmap() == addr.Unmap().WithZone("")
	})
}

// A privateAddressError is about an address, private or of this machine, that no pattern
// names.
type privateAddressError struct {
	target  target
	address netip.Addr
}

func (e *privateAddressError) Error() string {
	addr := e.address.Unmap()
	pattern := addr.String()
	if addr.Is6() {
		pattern = "[" + pattern + "]"
	}
	if e.target.port != targetPorts[e.target.scheme] {
		pattern += ":" + e.target.port
	}
	kind := "a private address"
	if isPublic(addr) {
		kind = "an address of this machine"
	}
	sentence := fmt.Sprintf("%v is %s", addr, kind)
	if !e.target.addr.IsValid() {
		sentence = fmt.Sprintf("%s leads to %v, which is %s", e.target.host, addr, kind)
	}
	return sentence + "; only a pattern with the address allows it, such as --probe-target=" + pattern
}

// dialer returns a function that connects to the addresses of t. It checks the address to
// which the system connects. So the answer of a name server cannot change after the check.
// The first address that is not allowed is stored in private.
func (all targetPatterns) dialer(t target, resolver *net.Resolver, private *atomic.Pointer[privateAddressError]) dialFunc {
	d := net.Dialer{Resolver: resolver, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		if !all.allowAddress(t, at.Addr()) {
			refused := &privateAddressError{t, at.Addr()}
			private.CompareAndSwap(nil, refused)
			return refused
		}
		return nil
	}}
	return d.DialContext
}
