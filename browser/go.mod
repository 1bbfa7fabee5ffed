module example.com/wsecho/browser

go 1.25.0

replace example.com/wsecho => ../

require (
	example.com/wsecho v0.0.0-00010101000000-000000000000
	github.com/chromedp/cdproto v0.160.2
	github.com/chromedp/chromedp v0.23.1
	github.com/coder/websocket v1.8.15
)

require (
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
	golang.org/x/sync v0.22.0 // indirect
)
