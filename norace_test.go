//go:build !race

package main

const manyPeers = 10_000
