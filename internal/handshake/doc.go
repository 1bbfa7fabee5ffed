// Package handshake is the client's side of opening a WebSocket (RFC 6455, section 4.1).
// It is for all clients of this module. It checks a URL, writes the request, and reads and
// checks the response.
//
//	in, response, err := handshake.Open(conn, handshake.Offer{URL: u}, deadline)
//	// in holds the bytes that the server sent behind its response
//
// Its errors are sentences about the server, without a subject. They contain no
// control character that the server sent.
package handshake
