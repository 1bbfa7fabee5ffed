package main

// release is the version of a release. The build of a release sets it:
//
//	go build -ldflags "-X main.release=v1.2.3"
var release string
