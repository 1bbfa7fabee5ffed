package main

// release is set by the build of a release:
//
//	go build -ldflags "-X main.release=v1.2.3"
var release string
