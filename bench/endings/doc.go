// Package endings holds a test and nothing else: the endings of a WebSocket as
// gorilla/websocket tells them, beside what packages server and ending make of
// them.
//
// A raw peer provokes each ending on a real socket, once against gorilla and
// once against this project. The verdict of ending.Gone must be that of
//
//	websocket.IsCloseError(err, websocket.CloseGoingAway, websocket.CloseAbnormalClosure)
//
// A scenario where the two must differ names the reason, and the test asserts
// the difference, so that the reason cannot outlive it. This shows them all:
//
//	go test -v -run 'Server|Client' ./endings | grep -v -e ---
package endings
