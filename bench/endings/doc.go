// Package endings contains only tests. They compare how gorilla/websocket and this
// project report the ending of a WebSocket.
//
// A raw peer provokes each ending on a real socket, once against gorilla and once
// against this project. ending.Gone must return the same value as
//
//	websocket.IsCloseError(err, websocket.CloseGoingAway, websocket.CloseAbnormalClosure)
//
// If the two must differ, the scenario names the reason, and the test requires the
// difference. This command shows all scenarios:
//
//	go test -v -run 'Server|Client' ./endings | grep -v -e ---
package endings
