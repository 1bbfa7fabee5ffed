package command

import (
	"net"
	"testing"
)

func TestClientURL(t *testing.T) {
	for _, test := range []struct {
		addr *net.TCPAddr
		want string
	}{
		{&net.TCPAddr{IP: net.IPv6unspecified, Port: 8080}, "ws://localhost:8080/"},
		{&net.TCPAddr{IP: net.IPv4zero, Port: 8080}, "ws://localhost:8080/"},
		{&net.TCPAddr{Port: 80}, "ws://localhost:80/"},
		{&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9}, "ws://127.0.0.1:9/"},
		{&net.TCPAddr{IP: net.IPv6loopback, Port: 9}, "ws://[::1]:9/"},
		{&net.TCPAddr{IP: net.ParseIP("fe80::1"), Zone: "eth0", Port: 8080}, "ws://[fe80::1%25eth0]:8080/"},
		{&net.TCPAddr{IP: net.IPv6unspecified, Zone: "eth0", Port: 8080}, "ws://localhost:8080/"},
	} {
		if got := clientURL("ws", test.addr); got != test.want {
			t.Errorf("clientURL(%v) = %s, want %s", test.addr, got, test.want)
		}
	}
}
