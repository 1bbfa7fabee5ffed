package fault

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"os"
)

// A greeting is the message of the parameter hello: what the server sees of a request.
type greeting struct {
	Server      string      `json:"server"` // its host name
	Remote      string      `json:"remote"` // the client's address; see server.Options.TrustedProxies
	Host        string      `json:"host"`
	URI         string      `json:"uri"`
	Header      http.Header `json:"header"`
	TLS         *tlsState   `json:"tls,omitempty"`
	Subprotocol string      `json:"subprotocol"`
	Extensions  string      `json:"extensions"`
}

type tlsState struct {
	Version     string `json:"version"`
	CipherSuite string `json:"cipher_suite"`
	ServerName  string `json:"server_name"`
	ALPN        string `json:"alpn"`
}

// newGreeting keeps the header of r until the greeting is sent.
func newGreeting(r *http.Request, withCredentials bool) *greeting {
	name, _ := os.Hostname() // "": the system does not tell it
	g := &greeting{Server: name, Remote: r.RemoteAddr, Host: r.Host, URI: r.RequestURI, Header: r.Header.Clone()}
	if !withCredentials {
		for _, field := range []string{"Authorization", "Proxy-Authorization", "Cookie"} {
			g.Header.Del(field)
		}
	}
	if s := r.TLS; s != nil {
		g.TLS = &tlsState{tls.VersionName(s.Version), tls.CipherSuiteName(s.CipherSuite), s.ServerName, s.NegotiatedProtocol}
	}
	return g
}

func (g *greeting) json() []byte {
	b, _ := json.Marshal(g) // strings can always be encoded
	return b
}
