package command

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/wsecho/server"
)

// A connection is an element of the answer to GET /connections.
type connection struct {
	ID           uint64    `json:"id"`
	Remote       string    `json:"remote"`
	URI          string    `json:"uri"` // without its query
	Subprotocol  string    `json:"subprotocol"`
	Fault        string    `json:"fault"` // "": none was requested
	Since        time.Time `json:"since"`
	AgeSeconds   float64   `json:"age_seconds"`
	LastReceived time.Time `json:"last_received"`
	RTTSeconds   *float64  `json:"rtt_seconds"` // null: not measured yet
	State        string    `json:"state"`       // open, parked or closing
	Peer         string    `json:"peer"`        // a State of package heartbeat
	MessagesIn   int64     `json:"messages_in"`
	MessagesOut  int64     `json:"messages_out"`
	BytesIn      int64     `json:"bytes_in"`
	BytesOut     int64     `json:"bytes_out"`
	WriteStalls  int64     `json:"write_stalls"`
}

func newConnection(i *server.Info) connection {
	c := connection{
		ID: i.ID, Remote: i.RemoteAddr, URI: withoutQuery(i.URI), Subprotocol: i.Subprotocol, Fault: i.Fault,
		Since: i.Since.UTC(), AgeSeconds: time.Since(i.Since).Seconds(),
		LastReceived: i.LastReceived.UTC(), State: stateName(i), Peer: i.Heartbeat.State.String(),
		MessagesIn: i.MessagesIn, MessagesOut: i.MessagesOut, BytesIn: i.BytesIn, BytesOut: i.BytesOut, WriteStalls: i.WriteStalls,
	}
	if i.Heartbeat.RTT.Count > 0 {
		rtt := i.Heartbeat.RTT.Last.Seconds()
		c.RTTSeconds = &rtt
	}
	return c
}

func stateName(i *server.Info) string {
	switch {
	case i.Closing:
		return "closing"
	case i.Parked:
		return "parked"
	}
	return "open"
}

// withoutQuery returns a URI without its query, which may contain a secret. So may the
// user information of an absolute URI.
func withoutQuery(uri string) string {
	path, _, query := strings.Cut(uri, "?")
	if !strings.HasPrefix(path, "/") {
		return "…"
	}
	if query {
		path += "?…"
	}
	return path
}

// connectionOrders has the functions behind the values of the parameter sort.
var connectionOrders = map[string]func(a, b *server.Info) int{
	"id":            func(_, _ *server.Info) int { return 0 }, // breaks the ties of all
	"remote":        func(a, b *server.Info) int { return strings.Compare(a.RemoteAddr, b.RemoteAddr) },
	"since":         func(a, b *server.Info) int { return a.Since.Compare(b.Since) },
	"last_received": func(a, b *server.Info) int { return a.LastReceived.Compare(b.LastReceived) },
	"rtt_seconds": func(a, b *server.Info) int { // 0: not measured
		return cmp.Compare(a.Heartbeat.RTT.Last, b.Heartbeat.RTT.Last)
	},
	"messages": func(a, b *server.Info) int {
		return cmp.Compare(a.MessagesIn+a.MessagesOut, b.MessagesIn+b.MessagesOut)
	},
	"bytes": func(a, b *server.Info) int { return cmp.Compare(a.BytesIn+a.BytesOut, b.BytesIn+b.BytesOut) },
	"state": func(a, b *server.Info) int { return strings.Compare(stateName(a), stateName(b)) },
}

// listConnections writes the open connections as JSON, one on each line. Without the
// parameters sort and limit it writes while it goes over them. It holds no lock meanwhile.
func listConnections(w http.ResponseWriter, r *http.Request, s *server.Server) {
	q := r.URL.Query()
	conns, err := selectConnections(q.Get("sort"), q.Get("limit"), s)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	b := bufio.NewWriterSize(w, 32<<10)
	t := s.Totals()
	endings := make(map[string]int64, len(t.Endings))
	for k, n := range t.Endings {
		endings[k.String()] = n
	}
	_, _ = fmt.Fprintf(b, `{"open":%d,"endings":%s,"connections":[`, t.Open, marshal(endings))
	separator := "\n"
	for i := range conns {
		_, _ = b.WriteString(separator)
		if _, err := b.Write(marshal(newConnection(&i))); err != nil {
			return // the client has disconnected
		}
		separator = ",\n"
	}
	_, _ = b.WriteString("\n]}\n")
	_ = b.Flush() // fails only if the client has disconnected
}

// marshal returns the JSON of a value that can always be encoded.
func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// selectConnections returns the connections that the parameters select. sort is a key of
// connectionOrders, after a minus sign for the reverse order. limit is the number of
// connections from the beginning of that order. Each may be empty.
func selectConnections(sort, limit string, s *server.Server) (iter.Seq[server.Info], error) {
	if sort == "" && limit == "" {
		return s.Connections(), nil
	}
	name, reverse := strings.CutPrefix(cmp.Or(sort, "id"), "-")
	order, ok := connectionOrders[name]
	if !ok {
		names := slices.Sorted(maps.Keys(connectionOrders))
		return nil, fmt.Errorf("sort: %q is no order; use one of %s, or one of them after a minus sign", sort, strings.Join(names, ", "))
	}
	n := uint64(math.MaxInt32 / 2)
	if limit != "" {
		parsed, err := strconv.ParseUint(limit, 10, 30) // twice as much is an int
		if err != nil || parsed == 0 {
			return nil, fmt.Errorf("limit: %q is no number of connections; use one such as 500", limit)
		}
		n = parsed
	}
	compare := func(a, b *server.Info) int {
		c := cmp.Or(order(a, b), cmp.Compare(a.ID, b.ID))
		if reverse {
			c = -c
		}
		return c
	}
	// Only the first n are kept. At twice as many, the others are dropped.
	var first []*server.Info
	var last *server.Info // of the first n; nil: there are fewer
	cut := func() {
		slices.SortFunc(first, compare)
		if len(first) >= int(n) {
			first = first[:n]
			last = first[n-1]
		}
	}
	next := new(server.Info) // one for all, because compare makes it escape
	for *next = range s.Connections() {
		if last != nil && compare(next, last) > 0 {
			continue
		}
		i := *next
		if first = append(first, &i); len(first) >= 2*int(n) {
			cut()
		}
	}
	cut()
	return func(yield func(server.Info) bool) {
		for _, i := range first {
			if !yield(*i) {
				return
			}
		}
	}, nil
}
