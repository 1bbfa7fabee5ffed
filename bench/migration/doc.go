// Package migration contains the examples of docs/coming-from-gorilla.md. Each task has
// one Example with gorilla/websocket and one with this project.
//
// Each file imports only one of the two libraries, under the name websocket. So a reader
// can copy the code.
package migration
