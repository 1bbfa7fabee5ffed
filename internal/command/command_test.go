package command

import (
	"os"
	"testing"
	"time"

	"example.com/wsecho/wstest"
)

// patience is how long a test waits for an event. The machine may be busy.
const patience = 30 * time.Second

func TestMain(m *testing.M) { os.Exit(wstest.VerifyNoLeaks(m)) }
