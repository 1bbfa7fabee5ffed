// Package migration holds the code of docs/coming-from-gorilla.md and nothing else:
// each thing once with gorilla/websocket and once with this project, as Examples
// that are run.
//
// Each file imports one library only, under the name websocket that both have,
// so that the code is what a reader has or will have.
package migration
