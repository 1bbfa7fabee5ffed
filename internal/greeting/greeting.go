// Package greeting is the JSON message of the fault hello: what a server sees of an opening
// handshake.
package greeting

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"os"
)

// A Greeting is what a server sees of a request.
type Greeting struct {
	Server      string      `json:"server"` // its host name
	Remote      string      `json:"remote"` // the client's address
	Host        string      `json:"host"`
	URI         string      `json:"uri"`
	Header      http.Header `json:"header"`
	TLS         *TLS        `json:"tls,omitempty"`
	Subprotocol string      `json:"subprotocol"`
	Extensions  string      `json:"extensions"`
}

// TLS is the part of a Greeting about TLS.
type TLS struct {
	Version     string `json:"version"`
	CipherSuite string `json:"cipher_suite"`
	ServerName  string `json:"server_name"`
	ALPN        string `json:"alpn"`
}

// New returns the Greeting for r, without Subprotocol and Extensions. It copies the
// header.
func New(r *http.Request, withCredentials bool) *Greeting {
	name, _ := os.Hostname() // "": the system does not tell it
	g := &Greeting{Server: name, Remote: r.RemoteAddr, Host: r.Host, URI: r.RequestURI, Header: r.Header.Clone()}
	if !withCredentials {
		for _, field := range []string{"Authorization", "Proxy-Authorization", "Cookie"} {
			g.Header.Del(field)
		}
	}
	if s := r.TLS; s != nil {
		g.TLS = &TLS{tls.VersionName(s.Version), tls.CipherSuiteName(s.CipherSuite), s.ServerName, s.NegotiatedProtocol}
	}
	return g
}

// JSON returns the message.
func (g *Greeting) JSON() []byte {
	b, _ := json.Marshal(g) // strings can always be encoded
	return b
}
