package browser

import (
	"bytes"
	"flag"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"

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
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, paletted(picture)); err != nil {
		p.t.Fatal(err)
	}
	if small.Len() > largestImage {
		p.t.Errorf("the image %s has %d bytes, want at most %d", name, small.Len(), largestImage)
	}
	if err := os.WriteFile(filepath.Join(*images, name+".png"), small.Bytes(), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// paletted returns an image with at most 256 colors of another one. Its file has a third of
// the size. Frequent colors come first, and no two of them are alike.
func paletted(from image.Image) *image.Paletted {
	counts := make(map[color.NRGBA]int)
	bounds := from.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			counts[color.NRGBAModel.Convert(from.At(x, y)).(color.NRGBA)]++
		}
	}
	var chosen color.Palette
	for _, c := range slices.SortedFunc(maps.Keys(counts), func(a, b color.NRGBA) int { return counts[b] - counts[a] }) {
		if len(chosen) == 0 || len(chosen) < 256 && !alike(chosen.Convert(c).(color.NRGBA), c) {
			chosen = append(chosen, c)
		}
	}
	to := image.NewPaletted(bounds, chosen)
	draw.Draw(to, bounds, from, bounds.Min, draw.Src)
	return to
}

// alike reports whether a reader of the page cannot tell two colors apart.
func alike(a, b color.NRGBA) bool {
	difference := func(a, b uint8) int { return max(int(a)-int(b), int(b)-int(a)) }
	return difference(a.R, b.R)+difference(a.G, b.G)+difference(a.B, b.B) <= 9
}
