package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"strconv"

	"github.com/coder/websocket"

	"example.com/wsecho/server"
)

const (
	closeRequestBytes = 4 << 10                   // the longest body of a request to close a connection
	closeReasonBytes  = 123                       // RFC 6455, section 5.5
	operatorReason    = "closed by an operator"   // unless the request has one
	operatorCode      = websocket.StatusGoingAway // as when the server ends a connection for its age; clients connect again
)

// closeConnection ends one connection by its id. It answers after the closing handshake,
// which takes the close timeout at most.
//
// The port has no authentication. So a request must come over a loopback address. For such
// a request protect has checked the Host header. A form cannot send the type JSON. A script
// of another origin needs a permission for it, and the port gives none.
func closeConnection(w http.ResponseWriter, r *http.Request, s *server.Server, log *slog.Logger) {
	if !isLoopback(r) {
		http.Error(w, "this port has no authentication, so a connection is closed only through a loopback address; set --admin-addr=127.0.0.1:9090, or forward a port to it with ssh -L or kubectl port-forward", http.StatusForbidden)
		return
	}
	code, reason, status, err := closeRequest(w, r)
	if err != nil {
		http.Error(w, err.Error(), status)
		return
	}
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	var c *server.Conn
	if err == nil {
		c = s.Conn(id)
	}
	if c == nil {
		http.Error(w, fmt.Sprintf("there is no connection %q; it may have ended", r.PathValue("id")), http.StatusNotFound)
		return
	}
	switch err := c.Close(code, reason); {
	case errors.Is(err, net.ErrClosed):
		http.Error(w, fmt.Sprintf("the connection %d is closing already", id), http.StatusConflict)
	case err != nil: // the code may not be sent
		http.Error(w, fmt.Sprintf("code: %v; use 1000, 1001 or one from 3000 to 4999", err), http.StatusBadRequest)
	default:
		log.Info("an operator has closed a connection", "id", id, "code", int(code), "reason", reason, "from", r.RemoteAddr)
		w.WriteHeader(http.StatusNoContent)
	}
}

// closeRequest reads the code and the reason of a request. An error comes with its status.
func closeRequest(w http.ResponseWriter, r *http.Request) (code websocket.StatusCode, reason string, status int, err error) {
	if typ, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || typ != "application/json" {
		return 0, "", http.StatusUnsupportedMediaType, errors.New(`the request needs "Content-Type: application/json" and a body such as {} or {"code":1001,"reason":"maintenance"}`)
	}
	body := struct {
		Code   websocket.StatusCode `json:"code"`
		Reason string               `json:"reason"`
	}{operatorCode, operatorReason}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, closeRequestBytes))
	d.DisallowUnknownFields()
	err = d.Decode(&body)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("it has more than one value")
		}
	}
	switch tooLarge := (*http.MaxBytesError)(nil); {
	case errors.As(err, &tooLarge):
		return 0, "", http.StatusRequestEntityTooLarge, fmt.Errorf("the body is longer than %d bytes", closeRequestBytes)
	case err != nil:
		return 0, "", http.StatusBadRequest, fmt.Errorf(`the body cannot be used: %w; use one such as {} or {"code":1001,"reason":"maintenance"}`, err)
	case len(body.Reason) > closeReasonBytes:
		return 0, "", http.StatusBadRequest, fmt.Errorf("reason: it has %d bytes, and a close frame takes %d at most", len(body.Reason), closeReasonBytes)
	}
	return body.Code, body.Reason, 0, nil
}
