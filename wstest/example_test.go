package wstest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"example.com/wsecho/wstest"
	"github.com/coder/websocket"
)

// A server must refuse a frame with a reserved bit that no extension uses. It should send
// 1002 and close the connection.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.Read(r.Context())
	}))
	defer server.Close()

	p, err := wstest.Dial("ws"+strings.TrimPrefix(server.URL, "http"), wstest.DialOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	p.Send(wstest.TextFrame("odd").WithRsv(wstest.RSV2))
	end, err := p.End(5 * time.Second)
	fmt.Println(end.Code, end.FIN, err)
	// Output: 1002 true <nil>
}
