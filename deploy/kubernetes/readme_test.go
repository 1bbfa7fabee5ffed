package kubernetes

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestReadme builds the kustomization.yaml that a user of ../README.md has after its steps.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	path, err := filepath.Rel(dir, wd)
	if err != nil {
		t.Fatal(err)
	}
	config := block(t, string(text), "apiVersion: kustomize.config.k8s.io/v1beta1\n") + block(t, string(text), "patches:\n")
	const written = "../wsecho/deploy/kubernetes"
	if !strings.Contains(config, written) {
		t.Fatalf("got no %s in\n%s", written, config)
	}
	config = strings.Replace(config, written, path, 1)
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	o := build(t, dir)
	c := o.container(t)
	if c.Image != "registry.example.com/wsecho:v1" || o.deployment.Namespace != "wsecho" {
		t.Errorf("got the image %s in the namespace %s", c.Image, o.deployment.Namespace)
	}
	if n := len(build(t, base).container(t).Args); len(c.Args) != n+1 || !slices.Contains(c.Args, "--origin=example.com") {
		t.Errorf("got the arguments %q, want those of the base and --origin=example.com", c.Args)
	}
}

// block returns the indented block of a page that begins with a line.
func block(t *testing.T, page, first string) string {
	t.Helper()
	var found strings.Builder
	indent := ""
	for line := range strings.Lines(page) {
		switch {
		case found.Len() == 0 && strings.HasSuffix(line, " "+first):
			indent = strings.TrimSuffix(line, first)
		case found.Len() == 0 || !strings.HasPrefix(line, indent):
			if found.Len() > 0 {
				return found.String()
			}
			continue
		}
		found.WriteString(strings.TrimPrefix(line, indent))
	}
	t.Fatalf("no block begins with %q", first)
	return ""
}
