package migration_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
)

func Example_readError_wsecho() {
	done := make(chan struct{})
	s, err := server.New(func(ctx context.Context, c *server.Conn) error {
		_, _, err := c.Read(ctx)
		gone := ending.Gone(err)
		unexpected := false
		end := ending.Of(err)
		switch end.Kind {
		case ending.Normal, ending.GoingAway:
		default:
			unexpected = true
		}

		fmt.Printf("%v, code %d, gone %t, unexpected %t\n", end.Kind, end.Code, gone, unexpected)
		done <- struct{}{}
		return err
	}, server.Options{})
	if err != nil {
		log.Fatal(err)
	}
	srv := httptest.NewServer(s)
	defer srv.Close()

	endEach(srv.URL, done)
	// Output:
	// close 1000: normal, code 1000, gone false, unexpected false
	// close without a code: normal, code 1005, gone false, unexpected false
	// close 1001: going away, code 1001, gone true, unexpected false
	// close 4000: peer code, code 4000, gone false, unexpected true
	// FIN: abnormal, code 0, gone true, unexpected true
	// FIN inside a message: abnormal, code 0, gone true, unexpected true
	// RST: reset, code 0, gone false, unexpected true
}
