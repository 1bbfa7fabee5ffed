package browser

import (
	"fmt"
	"strconv"
	"testing"
)

// drawn returns the number of pixels of the plot that have the color of the round-trip times.
func (p *tab) drawn() int {
	p.t.Helper()
	return eval[int](p, `(() => {
		const probe = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
		probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--accent");
		probe.fillRect(0, 0, 1, 1);
		const [red, green, blue] = probe.getImageData(0, 0, 1, 1).data;
		const plot = document.querySelector("#plot canvas");
		const copy = new OffscreenCanvas(plot.width, plot.height).getContext("2d", { willReadFrequently: true });
		copy.drawImage(plot, 0, 0);
		const { data } = copy.getImageData(0, 0, plot.width, plot.height);
		let n = 0;
		for (let i = 0; i < data.length; i += 4) if (data[i] === red && data[i+1] === green && data[i+2] === blue && data[i+3] === 255) n++;
		return n;
	})()`)
}

// TestPlot checks that round-trip times become points, in light and in dark colors.
func TestPlot(t *testing.T) {
	t.Parallel()
	p := open(t, serve(t), light)
	p.connect()
	if n := p.drawn(); n != 0 {
		t.Fatalf("the plot has %d pixels without a message", n)
	}
	p.find("combobox", "Repeat").choose("every 100 ms")
	p.send("hello")
	points := func() error {
		n, err := strconv.Atoi(eval[string](p, `document.getElementById("plot").dataset.points`))
		if drawn := p.drawn(); err != nil || n < 4 || drawn < 20 {
			return fmt.Errorf("got %d points, %d pixels, %v", n, drawn, err)
		}
		return nil
	}
	wait(t, "4 points in the plot", points)
	dark(p)
	wait(t, "4 points in the dark plot", points)
	p.find("button", "Stop").click()
	p.find("button", "Send")
}

// TestHello checks that the page shows what the server saw of its request.
func TestHello(t *testing.T) {
	t.Parallel()
	s := serve(t)
	p := open(t, s)
	p.find("button", "Ask the server").click()
	p.byID("hello").shows("remote", "127.0.0.1", "User-Agent", "Chrome")
}
