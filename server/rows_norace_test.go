//go:build !race

package server_test

import "example.com/wsecho/internal/testfull"

// trials is the number of measurements of a time.
var trials = testfull.N(10, 50)
