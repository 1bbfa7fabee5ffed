package ending_test

import (
	"fmt"
	"io"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
)

func ExampleOf() {
	end := ending.Of(websocket.CloseError{Code: 4001, Reason: "session over"})
	fmt.Println(end.Kind, end.By, int(end.Code), end.Reason)
	end = ending.Of(io.ErrUnexpectedEOF)
	fmt.Println(end.Kind, end.By)
	// Output:
	// peer code peer 4001 session over
	// abnormal peer
}

func ExampleGone() {
	fmt.Println(ending.Gone(websocket.CloseError{Code: websocket.StatusGoingAway}))
	fmt.Println(ending.Gone(io.EOF))
	fmt.Println(ending.Gone(websocket.CloseError{Code: websocket.StatusNormalClosure}))
	// Output:
	// true
	// true
	// false
}
