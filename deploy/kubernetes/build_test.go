package kubernetes

import (
	"bytes"
	"errors"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// objects are what a folder builds. A kind that is missing is nil.
type objects struct {
	account    *corev1.ServiceAccount
	deployment *appsv1.Deployment
	services   []*corev1.Service
	budget     *policyv1.PodDisruptionBudget
	scaler     *autoscalingv2.HorizontalPodAutoscaler
	policy     *networkingv1.NetworkPolicy
	monitor    *monitoringv1.ServiceMonitor
}

// container returns the only container of the Deployment.
func (o *objects) container(t *testing.T) corev1.Container {
	t.Helper()
	c := o.deployment.Spec.Template.Spec.Containers
	if len(c) != 1 {
		t.Fatalf("got %d containers, want 1", len(c))
	}
	return c[0]
}

// build builds a folder with kustomize and decodes each object.
func build(t *testing.T, folder string) *objects {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		t.Fatal(err)
	}
	var o objects
	for _, r := range built.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		if err := o.decode(text); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
	}
	if o.account == nil || o.deployment == nil || len(o.services) == 0 || o.budget == nil || o.policy == nil {
		t.Fatalf("an object is missing: got %+v", o)
	}
	return &o
}

// decode decodes one object into the type of the Kubernetes API. A field that the type
// does not have is an error.
func (o *objects) decode(text []byte) error {
	var kind metav1.TypeMeta
	if err := yaml.Unmarshal(text, &kind); err != nil {
		return err
	}
	switch kind {
	case metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"}:
		return strict(text, &o.account)
	case metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}:
		return strict(text, &o.deployment)
	case metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}:
		var s *corev1.Service
		err := strict(text, &s)
		o.services = append(o.services, s)
		return err
	case metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"}:
		return strict(text, &o.budget)
	case metav1.TypeMeta{APIVersion: "autoscaling/v2", Kind: "HorizontalPodAutoscaler"}:
		return strict(text, &o.scaler)
	case metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"}:
		return strict(text, &o.policy)
	case metav1.TypeMeta{APIVersion: "monitoring.coreos.com/v1", Kind: "ServiceMonitor"}:
		return strict(text, &o.monitor)
	}
	return &unknownKindError{kind}
}

type unknownKindError struct{ kind metav1.TypeMeta }

func (e *unknownKindError) Error() string { return "no type for " + e.kind.String() }

// strict decodes as the API server does with strict validation. Names of fields are
// case-sensitive, and no field is unknown or set twice.
func strict[T any](text []byte, object **T) error {
	*object = new(T)
	text, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return err
	}
	problems, err := kjson.UnmarshalStrict(text, *object)
	return errors.Join(append(problems, err)...)
}

// TestStrict checks that decode refuses a field that does not exist.
func TestStrict(t *testing.T) {
	text := []byte("apiVersion: policy/v1\nkind: PodDisruptionBudget\nspec:\n  maxUnavailable: 1\n")
	if err := new(objects).decode(text); err != nil {
		t.Error(err)
	}
	if err := new(objects).decode(bytes.Replace(text, []byte("maxUn"), []byte("maxun"), 1)); err == nil {
		t.Error("decode accepted the field maxunavailable")
	}
	if err := new(objects).decode([]byte("apiVersion: v1\nkind: Deployment\n")); err == nil {
		t.Error("decode accepted a Deployment of v1")
	}
}
