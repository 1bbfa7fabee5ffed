module example.com/wsecho/bench

go 1.25.0

require (
	example.com/wsecho v0.0.0
	github.com/HdrHistogram/hdrhistogram-go v1.4.0
	github.com/coder/websocket v1.8.15
	github.com/gorilla/websocket v1.5.3
	github.com/lxzan/gws v1.8.9
)

require (
	github.com/dolthub/maphash v0.1.0 // indirect
	github.com/klauspost/compress v1.17.9 // indirect
	golang.org/x/sync v0.22.0 // indirect
)

replace example.com/wsecho => ../
