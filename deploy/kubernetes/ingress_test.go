package kubernetes

import (
	"os"
	"regexp"
	"slices"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
)

// TestIngress decodes the Ingress of docs/behind-a-proxy.md, and checks that its Service
// and port exist.
func TestIngress(t *testing.T) {
	page, err := os.ReadFile("../../docs/behind-a-proxy.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$").FindAllSubmatch(page, -1)
	if len(blocks) != 1 {
		t.Fatalf("the page has %d blocks of YAML, want 1", len(blocks))
	}
	var ingress *networkingv1.Ingress
	if err := strict(blocks[0][1], &ingress); err != nil {
		t.Fatal(err)
	}
	if ingress.APIVersion != "networking.k8s.io/v1" || ingress.Kind != "Ingress" || len(ingress.Spec.Rules) != 1 {
		t.Fatalf("got %+v", ingress)
	}
	service := build(t, ".").services[0]
	for _, path := range ingress.Spec.Rules[0].HTTP.Paths {
		backend := path.Backend.Service
		found := false
		for _, p := range service.Spec.Ports {
			found = found || p.Name == backend.Port.Name
		}
		if backend.Name != service.Name || !found {
			t.Errorf("the Ingress names %+v, and the base has the Service %s with the ports %v", backend, service.Name, service.Spec.Ports)
		}
		if path.PathType == nil || !slices.Contains([]networkingv1.PathType{networkingv1.PathTypePrefix, networkingv1.PathTypeExact}, *path.PathType) {
			t.Errorf("the path has the type %v", path.PathType)
		}
	}
}
