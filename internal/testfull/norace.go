//go:build !race

package testfull

const raceEnabled = false
