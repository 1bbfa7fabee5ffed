package console_test

import (
	"os"
	"testing"

	"example.com/wsecho/wstest"
)

func TestMain(m *testing.M) { os.Exit(wstest.VerifyNoLeaks(m)) }
