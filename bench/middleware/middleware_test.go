// Package middleware tests package server behind third-party middleware. It is in this
// module so that the main module does not depend on theirs.
package middleware

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"

	wsecho "example.com/wsecho/echo"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// lines is a log that supports concurrent writes.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestMiddlewareSees runs the server behind chi, gin, echo and the sessions of scs. Each
// logs the status 101. The answer contains the headers that it sets, except headers of a
// body. net/http logs no error.
func TestMiddlewareSees(t *testing.T) {
	gin.SetMode(gin.ReleaseMode)
	// setHeaders sets headers that a middleware for compression may set.
	setHeaders := func(h http.Header) {
		h.Set("X-Seen", "yes")
		h.Set("Content-Length", "5")
		h.Set("Transfer-Encoding", "identity")
		h.Set("Trailer", "X-Sum")
		h.Set(http.TrailerPrefix+"X-Sum", "1")
	}
	for name, wrap := range map[string]func(ws http.Handler, log io.Writer) http.Handler{
		"none": func(ws http.Handler, log io.Writer) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				setHeaders(w.Header())
				fmt.Fprintln(log, "status 101") // no middleware can log it
				ws.ServeHTTP(w, r)
			})
		},
		"chi": func(ws http.Handler, log io.Writer) http.Handler {
			r := chi.NewRouter()
			r.Use(func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					seen := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
					setHeaders(seen.Header())
					next.ServeHTTP(seen, r)
					fmt.Fprintln(log, "status", seen.Status())
				})
			})
			r.Handle("/ws", ws)
			return r
		},
		"gin": func(ws http.Handler, log io.Writer) http.Handler {
			r := gin.New()
			r.Use(func(c *gin.Context) {
				setHeaders(c.Writer.Header())
				c.Next()
				fmt.Fprintln(log, "status", c.Writer.Status())
			})
			r.GET("/ws", gin.WrapH(ws))
			return r
		},
		"echo": func(ws http.Handler, log io.Writer) http.Handler {
			e := echo.New()
			e.Use(echomiddleware.RequestLoggerWithConfig(echomiddleware.RequestLoggerConfig{
				LogStatus: true,
				LogValuesFunc: func(_ echo.Context, v echomiddleware.RequestLoggerValues) error {
					fmt.Fprintln(log, "status", v.Status)
					return nil
				},
			}))
			e.GET("/ws", func(c echo.Context) error {
				setHeaders(c.Response().Header())
				ws.ServeHTTP(c.Response(), c.Request())
				return nil
			})
			return e
		},
		"chi and scs": func(ws http.Handler, log io.Writer) http.Handler {
			sessions := scs.New()
			r := chi.NewRouter()
			r.Use(func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					seen := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
					next.ServeHTTP(seen, r)
					fmt.Fprintln(log, "status", seen.Status())
				})
			}, sessions.LoadAndSave)
			r.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
				setHeaders(w.Header())
				sessions.Put(r.Context(), "user", "u") // sets the cookie when the answer begins
				ws.ServeHTTP(w, r)
			})
			return r
		},
	} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", TLS: ", secure), func(t *testing.T) {
				s, err := server.New(func(ctx context.Context, c *server.Conn) error { return wsecho.Serve(ctx, c) },
					server.Options{Subprotocols: []string{"chat"}})
				if err != nil {
					t.Fatal(err)
				}
				var seen, complaints lines
				ts := httptest.NewUnstartedServer(wrap(s, &seen))
				ts.Config.ErrorLog = log.New(&complaints, "", 0)
				config, client := wstest.TLS()
				url := "ws://"
				if secure {
					ts.TLS, url = config, "wss://"
					ts.StartTLS()
				} else {
					ts.Start()
				}
				defer ts.Close()
				url += ts.Listener.Addr().String() + "/ws"

				p, err := wstest.RawDial(url, wstest.DialOptions{TLS: client})
				if err != nil {
					t.Fatal(err)
				}
				defer p.Close()
				if err := p.SendRaw(wstest.Request(url, "", http.Header{"Sec-WebSocket-Protocol": {"chat"}})); err != nil {
					t.Fatal(err)
				}
				r, err := p.ReadResponse()
				if err != nil || r.StatusCode != http.StatusSwitchingProtocols {
					t.Fatalf("got %v, %v", r, err)
				}
				for field, want := range map[string]string{
					"X-Seen": "yes", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Protocol": "chat",
					"Content-Length": "", "Transfer-Encoding": "", "Trailer": "", "X-Sum": "",
				} {
					if got := r.Header.Get(field); got != want {
						t.Errorf("the answer has %s: %q, want %q", field, got, want)
					}
				}
				if len(r.TransferEncoding) > 0 || len(r.Trailer) > 0 || r.ContentLength > 0 {
					t.Errorf("the answer has a body: %v, %v, %d", r.TransferEncoding, r.Trailer, r.ContentLength)
				}
				if strings.Contains(name, "scs") && r.Header.Get("Set-Cookie") == "" {
					t.Error("the answer lacks the cookie of the session")
				}
				if err := p.Send(wstest.TextFrame("x")); err != nil {
					t.Fatal(err)
				}
				if _, got, err := p.RecvMessage(); err != nil || string(got) != "x" {
					t.Errorf("got %q, %v, want the echo", got, err)
				}
				for c := range s.Connections() {
					if c.Subprotocol != "chat" {
						t.Errorf("got the subprotocol %q", c.Subprotocol)
					}
				}
				_ = p.Close()
				for start := time.Now(); seen.String() == ""; time.Sleep(time.Millisecond) {
					if time.Since(start) > 20*time.Second {
						t.Fatal("the handler has not returned")
					}
				}
				if got := seen.String(); got != "status 101\n" {
					t.Errorf("the middleware logs %q, want 101", got)
				}
				if got := complaints.String(); got != "" {
					t.Errorf("net/http logs %q", got)
				}
			})
		}
	}
}
