package command

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"

	"github.com/pires/go-proxyproto"
)

// trustedUnix is the value of --trusted-proxy for the peers of unix sockets.
const trustedUnix = "unix"

// parseTrusted returns the prefixes of --trusted-proxy, and whether unix is among them.
func parseTrusted(values []string) (prefixes []netip.Prefix, unix bool, err error) {
	for _, v := range values {
		if v == trustedUnix {
			unix = true
			continue
		}
		p, err := parsePrefix(v)
		if err != nil {
			return nil, false, usageError{fmt.Errorf("--trusted-proxy: %w", err)}
		}
		prefixes = append(prefixes, p)
	}
	return prefixes, unix, nil
}

// parsePrefix parses a prefix, or an address as the prefix that contains only this address.
func parsePrefix(v string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(strings.Trim(v, "[]")); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(v)
	if err != nil {
		return p, fmt.Errorf("%q is not an address or a range of addresses, such as 10.0.0.7, 10.0.0.0/8 or fd00::/8, and not %s", v, trustedUnix)
	}
	if p != p.Masked() {
		return p, fmt.Errorf("%q has bits behind the prefix; did you mean %s or %s?", v, p.Masked(), p.Addr())
	}
	if a := p.Addr(); a.Is4In6() {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p, nil
}

// warnTrusted logs whether --trusted-proxy contains every address.
func (f *serveCommand) warnTrusted(log *slog.Logger) {
	trusted, _, _ := parseTrusted(f.TrustedProxy)
	for _, p := range trusted {
		if p.Bits() == 0 {
			log.Warn("every client can choose the address that the log and --max-conns-per-ip have for it", "flag", "--trusted-proxy", "value", p.String())
		}
	}
}

// checkProxy returns a usage error for wrong flags about proxies.
func (f *serveCommand) checkProxy() error {
	if _, _, err := parseTrusted(f.TrustedProxy); err != nil {
		return err
	}
	if f.ProxyProtocol != "off" && len(f.TrustedProxy) == 0 {
		return usageError{errors.New("--proxy-protocol: it needs the addresses of the proxies; set --trusted-proxy")}
	}
	return nil
}

// behindProxy returns listeners that read the header of the PROXY protocol, if
// --proxy-protocol is set. TLS belongs above them.
func (f *serveCommand) behindProxy(sockets listenerSet) (all listenerSet) {
	if f.ProxyProtocol == "off" {
		return sockets
	}
	trusted, unix, _ := parseTrusted(f.TrustedProxy) // checkProxy has reported an error
	for _, l := range sockets {
		all = append(all, &proxyListener{Listener: l, trusted: trusted, unix: unix, require: f.ProxyProtocol == "require"})
	}
	return all
}

// A proxyListener accepts connections. From a trusted address, they begin with the header
// of the PROXY protocol, version 1 or 2. It passes on the others.
type proxyListener struct {
	net.Listener
	trusted []netip.Prefix
	unix    bool // trust the peers of a unix socket
	require bool // refuse a connection without the header
}

// Accept does not wait for the header. Read does.
func (l *proxyListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil || !l.trusts(c) {
		return c, err
	}
	return &proxyConn{Conn: c, require: l.require}, nil
}

func (l *proxyListener) trusts(c net.Conn) bool {
	tcp, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return l.unix && c.LocalAddr().Network() == "unix"
	}
	addr := tcp.AddrPort().Addr().Unmap().WithZone("")
	for _, p := range l.trusted {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// A proxyConn begins with the header of the PROXY protocol. It is a listener.HeaderConn.
// Read has the deadline of the caller, so net/http's deadline of the request bounds the
// wait for the header.
type proxyConn struct {
	net.Conn
	require bool
	refused func(reason error)       // nil: not called
	client  atomic.Pointer[net.Addr] // nil: the header has not been read, or names no client

	// Of the reading goroutine.
	done bool
	err  error  // of the header
	rest []byte // read, and not yet returned; only if p was shorter than fixedV2
}

// NetConn returns the connection below.
func (c *proxyConn) NetConn() net.Conn { return c.Conn }

// OnBadHeader sets the function that Read calls for a header that it refuses.
func (c *proxyConn) OnBadHeader(f func(reason error)) { c.refused = f }

// RemoteAddr returns the client's address, or the proxy's if no header has named another.
func (c *proxyConn) RemoteAddr() net.Addr {
	if a := c.client.Load(); a != nil {
		return *a
	}
	return c.Conn.RemoteAddr()
}

// CloseWrite sends FIN. net/http calls it after its last answer.
func (c *proxyConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Read reads the header first.
func (c *proxyConn) Read(p []byte) (int, error) {
	if !c.done && len(p) > 0 {
		n, err := c.readHeader(p)
		if err != nil || n > 0 {
			return n, err
		}
	}
	if len(c.rest) > 0 {
		n := copy(p, c.rest)
		if c.rest = c.rest[n:]; len(c.rest) == 0 {
			c.rest = nil
		}
		return n, nil
	}
	return c.Conn.Read(p)
}

// readHeader reads the header, and the bytes behind it into p. It reads no more than fits
// into p, so that no byte is left behind it.
func (c *proxyConn) readHeader(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	header := make([]byte, 0, 256)
	for {
		chunk := p
		if len(header) < min(fixedV2, len(p)) { // if it is no header after all, p has room for it
			chunk = p[len(header):]
		}
		n, err := c.Conn.Read(chunk)
		header = append(header, chunk[:n]...)
		size, ok := headerSize(header)
		switch {
		case !ok && c.require:
			return 0, c.refuse(errors.New("a trusted proxy has connected without the header of the PROXY protocol, which --proxy-protocol=require needs; " +
				"switch the header on at the proxy, or use --proxy-protocol=accept"))
		case !ok:
			c.done = true
			n = copy(p, header)
			c.rest = header[n:]
			return n, nil
		case size > maxHeader:
			return 0, c.refuse(fmt.Errorf("the header of the PROXY protocol has %d bytes, more than %d", size, maxHeader))
		case size == 0 || size > len(header):
			if err != nil {
				return 0, err
			}
			continue
		}
		if err := c.parse(header[:size]); err != nil {
			return 0, c.refuse(fmt.Errorf("the header of the PROXY protocol is wrong: %w", err))
		}
		c.done = true
		return copy(p, header[size:]), nil
	}
}

func (c *proxyConn) refuse(err error) error {
	c.err = err
	if c.refused != nil {
		c.refused(err)
	}
	return err
}

// parse parses a complete header. A header without a client's address leaves the proxy's
// address. LOCAL is a health check, and UNKNOWN has no known client.
func (c *proxyConn) parse(header []byte) error {
	h, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(header), len(header)))
	if err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "proxyproto: "))
	}
	if tcp, _, ok := h.TCPAddrs(); ok && h.Command.IsProxy() {
		var a net.Addr = tcp
		c.client.Store(&a)
	}
	return nil
}

const (
	prefixV1  = "PROXY "
	prefixV2  = "\r\n\r\n\x00\r\nQUIT\n"
	fixedV2   = 16 // bytes of a header of version 2 up to its length
	maxV1     = 107
	maxHeader = fixedV2 + 4<<10 // the limit of the library; the longest known header has 3 KiB
)

// headerSize returns the size of the header of the PROXY protocol at the begin of b. It
// is 0 if b has too few bytes to know it. ok is false if b does not begin with one.
func headerSize(b []byte) (size int, ok bool) {
	for _, prefix := range []string{prefixV1, prefixV2} {
		n := min(len(b), len(prefix))
		if string(b[:n]) != prefix[:n] {
			continue
		}
		if n < len(prefix) {
			return 0, true
		}
		if prefix == prefixV1 {
			line := b[:min(len(b), maxV1)]
			if i := bytes.IndexByte(line, '\n'); i >= 0 {
				return i + 1, true
			}
			if len(line) == maxV1 {
				return maxV1, true // the library refuses it
			}
			return 0, true
		}
		if len(b) < fixedV2 {
			return 0, true
		}
		return fixedV2 + int(binary.BigEndian.Uint16(b[fixedV2-2:])), true
	}
	return 0, false
}
