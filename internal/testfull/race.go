//go:build race

package testfull

const raceEnabled = true
