package container

import (
	"archive/tar"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

const root = "../.."

// options are those of a build for this machine and for one other architecture. The
// profile would compile the standard library again.
func options(t *testing.T, root string) Options {
	t.Setenv("GOFLAGS", os.Getenv("GOFLAGS")+" -pgo=off")
	return Options{
		Root:      root,
		Platforms: []v1.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}},
		Args:      map[string]string{"VERSION": "v1.2.3-test", "REVISION": "0123abc"},
		Created:   time.Unix(1700000000, 0),
		Log:       t.Output(),
	}
}

// TestImage builds the image twice: from the source tree, and from a copy in another
// folder. The copy has only the files that .dockerignore admits. The digests must be
// equal. It then compares each image with what the Dockerfile promises.
func TestImage(t *testing.T) {
	dir := t.TempDir()
	digest, err := Write(t.Context(), dir, options(t, root))
	if err != nil {
		t.Fatal(err)
	}
	again, err := Write(t.Context(), t.TempDir(), options(t, contextOf(t, root)))
	if err != nil {
		t.Fatal(err)
	}
	if again != digest {
		t.Errorf("the digest of the index is %s, and %s for the same sources in another folder", digest, again)
	}
	path, err := layout.FromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	outer, err := path.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	names, err := outer.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(names.Manifests) != 1 || names.Manifests[0].Annotations["org.opencontainers.image.ref.name"] != Tag || names.Manifests[0].Digest != digest {
		t.Fatalf("the layout has %+v, want one index named %s", names.Manifests, Tag)
	}
	index, err := outer.ImageIndex(digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 2 {
		t.Fatalf("got %d images, want 2", len(manifest.Manifests))
	}
	for _, m := range manifest.Manifests {
		t.Run(m.Platform.String(), func(t *testing.T) {
			image, err := index.Image(m.Digest)
			if err != nil {
				t.Fatal(err)
			}
			checkConfig(t, image, *m.Platform)
			files := unpack(t, image)
			checkFiles(t, files)
			if m.Platform.Architecture == runtime.GOARCH {
				t.Run("default flags", func(t *testing.T) { runDefault(t, image, files) })
				t.Run("other address", func(t *testing.T) { runOther(t, image, files) })
			}
		})
	}
}

// checkConfig compares the configuration with the values that users rely on.
func checkConfig(t *testing.T, image v1.Image, p v1.Platform) {
	file, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if file.OS != p.OS || file.Architecture != p.Architecture || file.Created.Unix() != 1700000000 {
		t.Errorf("got %s/%s of %s", file.OS, file.Architecture, file.Created)
	}
	c := file.Config
	uid, _, _ := strings.Cut(c.User, ":")
	if n, err := strconv.Atoi(uid); err != nil || n == 0 {
		t.Errorf("user %q: want a number that is not root's", c.User)
	}
	want := v1.Config{
		User: c.User, Entrypoint: []string{"/wsecho"}, StopSignal: "SIGTERM",
		ExposedPorts: map[string]struct{}{"8080/tcp": {}},
		Env:          []string{"WSECHO_CHECK_URL=ws://127.0.0.1:8080/"},
		Healthcheck: &v1.HealthConfig{Test: []string{"CMD", "/wsecho", "check", "--quiet"},
			Interval: 30 * time.Second, Timeout: 10 * time.Second, StartPeriod: 5 * time.Second, Retries: 3},
		Labels: map[string]string{
			"org.opencontainers.image.title":       "wsecho",
			"org.opencontainers.image.description": "WebSocket echo server",
			"org.opencontainers.image.licenses":    "MIT",
			"org.opencontainers.image.version":     "v1.2.3-test",
			"org.opencontainers.image.revision":    "0123abc",
		},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("config:\ngot  %+v\nwant %+v", c, want)
	}
}

// unpack extracts the image and returns the folder.
func unpack(t *testing.T, image v1.Image) string {
	dir := t.TempDir()
	// The user of the image must reach it.
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	reader := mutate.Extract(image)
	defer reader.Close()
	for r := tar.NewReader(reader); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg || !filepath.IsLocal(h.Name) || h.Uid != 0 || h.Gid != 0 {
			t.Fatalf("%s: type %q, owner %d:%d", h.Name, h.Typeflag, h.Uid, h.Gid)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, h.Name), content, fs.FileMode(h.Mode)); err != nil {
			t.Fatal(err)
		}
	}
}

// checkFiles checks that the image has the license and a static binary without symbols.
func checkFiles(t *testing.T, dir string) {
	var names []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, fmt.Sprintf("%s %s", info.Mode(), e.Name()))
	}
	if want := []string{"-rw-r--r-- LICENSE", "-rwxr-xr-x wsecho"}; !slices.Equal(names, want) {
		t.Errorf("files: got %q, want %q", names, want)
	}
	binary, err := elf.Open(filepath.Join(dir, "wsecho"))
	if err != nil {
		t.Fatal(err)
	}
	defer binary.Close()
	for _, p := range binary.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the binary is not static")
		}
	}
	if binary.Section(".symtab") != nil {
		t.Error("the binary has a table of symbols")
	}
}

// contextOf copies what .dockerignore lets through to a new folder.
func contextOf(t *testing.T, root string) string {
	ignore, err := os.Open(filepath.Join(root, ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	defer ignore.Close()
	patterns, err := ignorefile.ReadAll(ignore)
	if err != nil {
		t.Fatal(err)
	}
	matcher, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	copied := 0
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil || name == "." {
			return err
		}
		if d.IsDir() {
			if name == ".git" || name == "bench" || name == "deploy" {
				return filepath.SkipDir // only saves time
			}
			return nil
		}
		if ignored, err := matcher.MatchesOrParentMatches(name); err != nil || ignored {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		copied++
		target := filepath.Join(dir, name)
		return errors.Join(os.MkdirAll(filepath.Dir(target), 0o755), os.WriteFile(target, content, 0o644))
	})
	if err != nil {
		t.Fatal(err)
	}
	dockerfile, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), dockerfile, 0o644); err != nil {
		t.Fatal(err)
	}
	if copied < 50 {
		t.Fatalf("%d files were copied, which cannot be all", copied)
	}
	return dir
}
