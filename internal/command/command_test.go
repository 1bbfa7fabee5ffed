package command

import (
	"os"
	"testing"
	"time"

	"example.com/wsecho/wstest"
)

// waitLimit bounds each wait for an event. A busy machine may need seconds.
const waitLimit = 30 * time.Second

func TestMain(m *testing.M) { os.Exit(wstest.VerifyNoLeaks(m)) }
