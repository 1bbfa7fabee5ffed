package browser

import (
	"bytes"
	"flag"
	"image/png"
	"os"
	"path/filepath"

	"github.com/chromedp/cdproto/page"
)

// images is the folder for the images of the README:
//
//	go test -run 'TestLooks|TestWatch$' . -images ../docs/images
var images = flag.String("images", "", "write the images of the README to this `folder`, which takes two minutes")

// largestImage is the most bytes of an image.
const largestImage = 200_000

// keepImage writes an image of the top of the page, if -images is set.
func (p *tab) keepImage(name string) {
	p.t.Helper()
	if *images == "" {
		return
	}
	p.top()
	shot := call(p, page.CaptureScreenshot, page.CaptureScreenshotParams{})
	picture, err := png.Decode(bytes.NewReader([]byte(shot.Data)))
	if err != nil {
		p.t.Fatal(err)
	}
	var small bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, picture); err != nil {
		p.t.Fatal(err)
	}
	if small.Len() > largestImage {
		p.t.Errorf("the image %s has %d bytes, want at most %d", name, small.Len(), largestImage)
	}
	if err := os.WriteFile(filepath.Join(*images, name+".png"), small.Bytes(), 0o644); err != nil {
		p.t.Fatal(err)
	}
}
