package ending

import "github.com/coder/websocket"

// An Explanation is a text for people about a kind of ending or a close code. Each field
// has one or more sentences.
type Explanation struct {
	Meaning string // what has happened
	Sender  string // the side that may send the code, or that began
	Causes  string // the usual causes
	Check   string // what to look at
}

// Explain returns the explanation of a kind. It is zero for Open and for a kind that does
// not exist.
func (k Kind) Explain() Explanation {
	if k >= numKinds {
		return Explanation{}
	}
	return kindTexts[k]
}

// Codes returns the close codes with a meaning of their own, in ascending order. They are
// those of RFC 6455, section 7.4.1, and the later ones of the IANA registry.
func Codes() []websocket.StatusCode {
	all := make([]websocket.StatusCode, 0, len(codeTexts))
	for _, c := range codeTexts {
		all = append(all, c.code)
	}
	return all
}

// ExplainCode returns the name and the explanation of a close code. A code outside of
// [Codes] has the explanation of its range (RFC 6455, section 7.4.2). The name is empty
// for a number that is in no range, which is below 0 or above 65535.
func ExplainCode(code websocket.StatusCode) (name string, e Explanation) {
	for _, c := range codeTexts {
		if c.code == code {
			return c.name, c.Explanation
		}
	}
	for _, r := range codeRanges {
		if r.from <= code && code <= r.to {
			return r.name, r.Explanation
		}
	}
	return "", Explanation{}
}

// The side that begins, for kindTexts.
const (
	byPeer    = "The peer began."
	byNetwork = "Neither side began: the path between them failed."
	byLocal   = "This side began."
)

var kindTexts = [numKinds]Explanation{
	Normal: {"The peer closed with 1000 or without a code.", byPeer,
		"The peer has finished, or the user has closed the page.",
		"Nothing. If the peer should have stayed, read its own log."},
	GoingAway: {"The peer closed with 1001.", byPeer,
		"The server restarts or drains. The browser leaves the page. A proxy reloads its configuration.",
		"Compare the time with deployments of the server and reloads of the proxy. A client should connect again after a random delay."},
	PeerCode: {"The peer closed with another code.", byPeer,
		"The peer found an error, or its application uses a code of its own.",
		"Look up the code with `wsecho explain CODE`, and read the reason beside it."},
	Abnormal: {"The stream ended without a close frame, between messages or inside one.", byPeer,
		"The peer's process ended or closed the socket. A proxy or load balancer closed an idle connection.",
		"Compare the age and the silence of the connection with the timeouts of each proxy. Use a ping interval below the shortest of them."},
	Reset: {"The peer's system answered with RST.", byPeer,
		"The peer's process crashed, closed with unread data, or restarted. A firewall or load balancer forgot the connection.",
		"Read the peer's log at that time. Compare the silence before the end with the idle timeouts on the path. That of a Network Load Balancer is 350 s."},
	Lost: {"The kernel gave up on the path: keepalive, retransmission, or no route.", byNetwork,
		"The peer lost power or its network. A mobile client changed networks. A firewall drops packets.",
		"Check the route and the packet loss between both hosts. A heartbeat finds such a peer sooner than TCP does."},
	Truncated: {"TLS ended inside a record.", byNetwork,
		"The connection was cut during a write. An attacker may cut TLS on purpose.",
		"Check whether a proxy between both sides crashed or restarted. Do not use the incomplete message."},
	BadTLS: {"A TLS record was forged or damaged, or the peer's alert says so.", byNetwork,
		"A program on the path changes bytes, or something that is not TLS was sent on the connection.",
		"Check proxies and firewalls that inspect TLS, and the memory and network card of the hosts."},
	NoPong: {"The peer gave no sign of life within the heartbeat's limits.", byLocal,
		"The peer has lost its network, is suspended, or is too busy to answer. Its program does not read.",
		"If the peer is a server, run `wsecho probe` against it from the same network. Check the peer's CPU, and `--ping-interval`, `--ping-timeout` and `--max-missed`."},
	WriteStalled: {"The peer is there, but it accepted too little for the write timeout (`--min-write-rate`), or no ping could be sent.", byLocal,
		"The peer does not read, or its network is too slow for the messages.",
		"Check that the peer reads all the time. Send less, or raise the write timeout."},
	Protocol: {"The peer violated RFC 6455 or RFC 7692.", byLocal,
		"The peer or a proxy has an error in its WebSocket code. Two programs write to the same socket.",
		"Read the cause, which names the rule. Try without compression and without each proxy."},
	InvalidUTF8: {"A text message or a close reason is not UTF-8.", byLocal,
		"The peer sends binary data, or text in another encoding, as a text message.",
		"Send binary data as a binary message, and encode text as UTF-8."},
	TooBig: {"A message is longer than the read limit.", byLocal,
		"The peer sends larger messages than this side allows.",
		"Raise the limit (`--read-limit`), or split the message."},
	TooSlow: {"A message took longer than the message timeout.", byLocal,
		"The peer's network is slow, or the peer began a message and did not finish it.",
		"Check that the peer finishes each message. Raise the timeout for large messages on slow networks."},
	Flood: {"The peer sent too many tiny fragments, pings or pongs.", byLocal,
		"The peer sends pings in a loop, or it is an attack.",
		"Check the peer's ping interval and how it fragments messages."},
	NoMemory: {"There was no memory for a message over 16 KiB. A message of known length first waits for it.", byLocal,
		"Too many large messages arrived at once.",
		"Raise the budget (`--memory-budget`), or use fewer connections or smaller messages."},
	Done: {"The handler returned nil.", byLocal,
		"The server's program has finished with the connection.",
		"Nothing, if the handler is meant to return."},
	Failed: {"The handler returned an error, perhaps that of another connection.", byLocal,
		"The server's program met an error, such as that of a database or an upstream.",
		"Read the cause in the server's log."},
	Panicked: {"The handler panicked.", byLocal,
		"The server's program has an error.",
		"Read the stack in the server's log."},
	Drained: {"The server shuts down.", byLocal,
		"A deployment, a restart, or a signal to the process.",
		"Nothing, if the shutdown was planned. A client should connect again after a random delay."},
	Aged: {"The connection reached its maximum age.", byLocal,
		"The server renews connections on purpose, to spread them over its replicas.",
		"Check `--max-age`. A client should connect again."},
	Idle: {"The idle timeout passed without a message.", byLocal,
		"The peer sent no message. Pings do not count as messages.",
		"Check `--idle-timeout`, or send messages more often."},
	Closed: {"The program called Close or CloseNow, a handler returned CloseWith, or a context ended.", byLocal,
		"The program ends the connection on purpose, or an operator has closed it on the admin listener of wsecho.",
		"Nothing, unless a timeout of the program is too short."},
	Unknown: {"The error has no name in package ending.", "The side that began is not known.",
		"A reader or a transport of the program returned an error of its own.",
		"Read the cause."},
}

// The sides that may send a code, for codeTexts.
const (
	eitherSide  = "Either side."
	inNoFrame   = "Neither side. The code must not be in a close frame; a program reports it."
	application = "Either side, as the application defines."
)

type codeText struct {
	code websocket.StatusCode
	name string
	Explanation
}

var codeTexts = []codeText{
	{1000, "normal closure", Explanation{"The connection has served its purpose.", eitherSide,
		"The program called Close.",
		"Nothing. If the end was not expected, read the log of the side that sent it."}},
	{1001, "going away", Explanation{"The sender goes away: a server shuts down, or a browser leaves the page.", eitherSide,
		"A deployment or a restart. The user has left the page. The server ended an idle or old connection.",
		"Compare the time with deployments. A client should connect again after a random delay."}},
	{1002, "protocol error", Explanation{"The sender received something that violates the protocol.", eitherSide,
		"The other side or a proxy has an error in its WebSocket code. Two programs write to the same socket.",
		"Read the reason and the sender's log. Try without compression and without each proxy."}},
	{1003, "unsupported data", Explanation{"The sender received a type of message that it does not accept.", eitherSide,
		"A binary message was sent to a server that reads text only, or the reverse.",
		"Check the types of messages that the sender accepts."}},
	{1004, "reserved", Explanation{"The code has no meaning yet.", "Neither side.",
		"The sender has an error.",
		"Check the program that sent it."}},
	{1005, "no status received", Explanation{"The close frame had no code.", inNoFrame,
		"The program called close without arguments. In browsers that is the usual call.",
		"Nothing."}},
	{1006, "abnormal closure", Explanation{"The connection ended without a close frame.", inNoFrame,
		"The process crashed, the network failed, or a proxy closed an idle connection. A browser also reports a refused handshake with this code.",
		"Run `wsecho probe` against the server. It names the kind of ending and the status of a refused handshake."}},
	{1007, "invalid payload data", Explanation{"The sender received data that does not fit its type, such as a text message that is not UTF-8.", eitherSide,
		"Binary data or text in another encoding was sent as a text message. Compressed data was damaged.",
		"Send binary data as a binary message, and encode text as UTF-8."}},
	{1008, "policy violation", Explanation{"The sender refuses a message or the connection for a rule of its own.", eitherSide,
		"A login is missing or has expired. A limit on messages or pings was exceeded.",
		"Read the reason, then the sender's log and limits."}},
	{1009, "message too big", Explanation{"The sender received a message that is longer than its limit.", eitherSide,
		"The read limit of the sender is lower than the messages of the other side.",
		"Raise the sender's limit, or split the message."}},
	{1010, "mandatory extension", Explanation{"The client needs an extension that the server did not accept.", "The client only.",
		"The server or a proxy does not support the extension.",
		"Check the header Sec-WebSocket-Extensions on both sides of each proxy."}},
	{1011, "internal error", Explanation{"The sender met an unexpected condition.", eitherSide,
		"The handler returned an error or panicked. A service behind the server failed. Some libraries send it for a missed pong.",
		"Read the sender's log at that time."}},
	{1012, "service restart", Explanation{"The service restarts.", "The server.",
		"A deployment or a restart.",
		"A client should connect again after a random delay of 5 to 30 s."}},
	{1013, "try again later", Explanation{"The sender is overloaded or short of a resource.", "The server.",
		"Too many connections or messages at once.",
		"A client should wait before it connects again. Check the server's load and limits."}},
	{1014, "bad gateway", Explanation{"A gateway or proxy received an invalid response from its upstream.", "A server that is a gateway.",
		"The server behind the gateway is down or refuses the handshake.",
		"Run `wsecho probe` against the server itself, without the gateway."}},
	{1015, "tls handshake", Explanation{"The handshake of TLS failed.", inNoFrame,
		"The certificate is not trusted, has expired, or is for another name.",
		"Run `wsecho check wss://…`, which prints the reason."}},
	{3000, "unauthorized", Explanation{"The endpoint needs a login (like HTTP 401).", eitherSide,
		"A token is missing or has expired.",
		"Check the credentials that the client sends."}},
	{3003, "forbidden", Explanation{"The login is valid and does not permit this (like HTTP 403).", eitherSide,
		"The user lacks a permission.",
		"Check the permissions of the user."}},
	{3008, "timeout", Explanation{"The other side took too long (like HTTP 408).", eitherSide,
		"A request or a login was not completed in time.",
		"Check the timeouts of the application."}},
}

var codeRanges = []struct {
	from, to websocket.StatusCode
	name     string
	Explanation
}{
	{0, 999, "not used", Explanation{"RFC 6455 does not use these codes.", "Neither side.",
		"The sender has an error, such as an HTTP status in place of a close code.",
		"Check the program that sent it."}},
	{1000, 2999, "reserved for the protocol", Explanation{"The code is reserved for RFC 6455 and its successors and has no meaning yet.", "Neither side.",
		"The sender has an error, or is newer than this program.",
		"Check the program that sent it, and the IANA registry of close codes."}},
	{3000, 3999, "for libraries", Explanation{"The code is for libraries and frameworks, which register it with IANA.", eitherSide,
		"The library or framework of the sender ended the connection.",
		"Look up the code in the documentation of the library and in the IANA registry."}},
	{4000, 4999, "for applications", Explanation{"The code is for private use. Its meaning is that of the application.", application,
		"The application ended the connection.",
		"Look up the code in the documentation of the application, and read the reason."}},
	{5000, 65535, "not used", Explanation{"RFC 6455 defines no codes above 4999.", "Neither side.",
		"The sender has an error.",
		"Check the program that sent it."}},
}
