package container

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Options describe an image.
type Options struct {
	Root      string        // folder of the Dockerfile
	Platforms []v1.Platform // at least one
	Args      map[string]string
	Created   time.Time // of the files and of the image; the zero value is 1970
	Log       io.Writer // output of the commands
}

// Tag names the image in its layout.
const Tag = "wsecho"

// Write builds the image for each platform. It writes an OCI image layout with one index
// of images to the folder dir. The folder must not exist, or be empty. It returns the
// digest of the index. The same sources give the same digest.
func Write(ctx context.Context, dir string, o Options) (v1.Hash, error) {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return v1.Hash{}, fmt.Errorf("%s is not empty; remove it, or choose another folder", dir)
	}
	if o.Created.IsZero() {
		o.Created = time.Unix(0, 0)
	}
	o.Created = o.Created.UTC()
	var index v1.ImageIndex = mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range o.Platforms {
		image, err := build(ctx, o, p)
		if err != nil {
			return v1.Hash{}, fmt.Errorf("building the image for %s: %w", p, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &p}})
	}
	path, err := layout.Write(dir, empty.Index)
	if err == nil {
		err = path.AppendIndex(index, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": Tag}))
	}
	if err != nil {
		return v1.Hash{}, fmt.Errorf("writing the image: %w", err)
	}
	return index.Digest()
}

// build builds the image for one platform.
func build(ctx context.Context, o Options, p v1.Platform) (v1.Image, error) {
	out, err := os.MkdirTemp("", "wsecho-image-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(out)
	args := map[string]string{"TARGETOS": p.OS, "TARGETARCH": p.Architecture}
	for name, value := range o.Args {
		args[name] = value
	}
	r, err := readRecipe(o.Root, args)
	if err != nil {
		return nil, err
	}
	r.args["OUT"] = out
	if err := r.runCommands(ctx, o); err != nil {
		return nil, err
	}
	content, err := r.layer(o, out)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
		tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.Append(image, mutate.Addendum{
		Layer:   layer,
		History: v1.History{Created: v1.Time{Time: o.Created}, CreatedBy: "Dockerfile"},
	})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Variant = p.OS, p.Architecture, p.Variant
	config.Created = v1.Time{Time: o.Created}
	config.Config = r.config
	return mutate.ConfigFile(image, config)
}

// runCommands runs the commands of the build stage in the source tree.
func (r *recipe) runCommands(ctx context.Context, o Options) error {
	environ := os.Environ()
	for name, value := range r.args {
		environ = append(environ, name+"="+value)
	}
	for _, line := range r.run {
		command := exec.CommandContext(ctx, "/bin/sh", "-c", line)
		command.Dir, command.Env = o.Root, environ
		command.Stdout, command.Stderr = o.Log, o.Log
		command.WaitDelay = 10 * time.Second
		if err := command.Run(); err != nil {
			return fmt.Errorf("%s: %w", line, err)
		}
	}
	return nil
}

// layer returns the files of the image as a tar archive. Nothing in it depends on the
// machine or the time.
func (r *recipe) layer(o Options, out string) ([]byte, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, f := range r.sortedFiles() {
		folder, mode := o.Root, int64(0o644)
		if f.built {
			folder, mode = out, 0o755
		}
		content, err := os.ReadFile(filepath.Join(folder, f.source))
		if err != nil {
			return nil, err
		}
		header := &tar.Header{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(f.target, "/"), Mode: mode, Size: int64(len(content)), ModTime: o.Created, Format: tar.FormatPAX}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return archive.Bytes(), nil
}

func (r *recipe) sortedFiles() []file {
	return slices.SortedFunc(slices.Values(r.files), func(a, b file) int { return strings.Compare(a.target, b.target) })
}
