package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

//go:embed assets
var embedded embed.FS

const (
	index = "index.html"
	data  = "data.json" // is created, see document
)

// types are the content types of the files. Those of package mime depend on the machine.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".json": "application/json",
	".svg":  "image/svg+xml",
	".txt":  "text/plain; charset=utf-8",
}

// policy is the Content-Security-Policy. The page may connect to any WebSocket, and asks
// its own server only for files.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' ws: wss:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// A file is a part of the page. Its fields do not change.
type file struct {
	contentType string
	plain, gzip func() encodedFile // create it at the first call
}

// An encodedFile is a file in one content coding.
type encodedFile struct {
	body []byte
	etag string
}

func newEncodedFile(body []byte) encodedFile {
	sum := sha256.Sum256(body)
	return encodedFile{body, `"` + hex.EncodeToString(sum[:12]) + `"`}
}

// newFile returns the file with the body that create returns.
func newFile(name string, create func() []byte) *file {
	plain := sync.OnceValue(func() encodedFile { return newEncodedFile(create()) })
	return &file{types[path.Ext(name)], plain, sync.OnceValue(func() encodedFile {
		var b bytes.Buffer
		z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is right
		_, _ = z.Write(plain().body)                          // a buffer takes everything
		_ = z.Close()
		return newEncodedFile(b.Bytes())
	})}
}

// files returns the files of a page by the path below Prefix.
func files(o Options) map[string]*file {
	all := make(map[string]*file)
	root, _ := fs.Sub(embedded, "assets") // the name is right
	_ = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all[name] = newFile(name, func() []byte {
				body, _ := fs.ReadFile(root, name) // it is embedded
				return body
			})
		}
		return err
	})
	all[data] = newFile(data, func() []byte {
		body, _ := json.Marshal(newDocument(o)) // the type has nothing that cannot be encoded
		return body
	})
	return all
}

// serve answers a GET or HEAD.
func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	h, c := w.Header(), f.plain()
	h.Add("Vary", "Accept-Encoding")
	if acceptsGzip(r.Header) {
		c = f.gzip()
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Type", f.contentType)
	h.Set("Cache-Control", "no-cache") // a cached file is asked for again, by its ETag
	h.Set("Etag", c.etag)
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if matches(r.Header["If-None-Match"], c.etag) {
		h.Del("Content-Encoding")
		h.Del("Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(c.body)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(c.body) // fails only if the client has disconnected
	}
}

// matches compares an ETag with the fields If-None-Match, weakly (RFC 9110, section 13.1.2).
func matches(fields []string, etag string) bool {
	for _, field := range fields {
		for element := range strings.SplitSeq(field, ",") {
			if e := strings.TrimPrefix(strings.TrimSpace(element), "W/"); e == etag || e == "*" {
				return true
			}
		}
	}
	return false
}
