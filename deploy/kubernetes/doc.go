// Package kubernetes tests the kustomize base in this folder, and the manifests that go with
// it. A test decodes each object strictly into the type of its API.
package kubernetes
