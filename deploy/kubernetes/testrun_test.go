package kubernetes

import (
	"os"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// A testRun has the fields of the k6 operator's TestRun (k6.io/v1alpha1) that deploy/k6
// may use. The operator is no Go module that can be imported, so any other field is an
// error here.
type testRun struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Parallelism int32  `json:"parallelism"`
		Separate    bool   `json:"separate"`
		Arguments   string `json:"arguments"`
		Cleanup     string `json:"cleanup"`
		Script      struct {
			ConfigMap struct {
				Name string `json:"name"`
				File string `json:"file"`
			} `json:"configMap"`
		} `json:"script"`
		Runner struct {
			Image                        string                      `json:"image"`
			AutomountServiceAccountToken string                      `json:"automountServiceAccountToken"` // not a bool
			Resources                    corev1.ResourceRequirements `json:"resources"`
			SecurityContext              corev1.PodSecurityContext   `json:"securityContext"`
			ContainerSecurityContext     corev1.SecurityContext      `json:"containerSecurityContext"`
		} `json:"runner"`
	} `json:"spec"`
}

// TestTestRun checks the manifest for the k6 operator.
func TestTestRun(t *testing.T) {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), "../k6")
	if err != nil {
		t.Fatal(err)
	}
	var run *testRun
	var script *corev1.ConfigMap
	for _, r := range built.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		if r.GetKind() == "ConfigMap" {
			err = strict(text, &script)
		} else {
			err = strict(text, &run)
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
	}
	if run == nil || script == nil || run.APIVersion != "k6.io/v1alpha1" || run.Kind != "TestRun" {
		t.Fatalf("got %+v and %+v, want a TestRun and a ConfigMap", run, script)
	}

	want, err := os.ReadFile("../k6/script.js")
	if err != nil {
		t.Fatal(err)
	}
	if ref := run.Spec.Script.ConfigMap; ref.Name != script.Name || script.Data[ref.File] != string(want) {
		t.Errorf("the TestRun names %+v, which is not script.js in the ConfigMap %s", ref, script.Name)
	}
	if run.Spec.Cleanup != "post" || run.Spec.Parallelism < 2 {
		t.Errorf("got cleanup %q and %d runners, want post and several", run.Spec.Cleanup, run.Spec.Parallelism)
	}
	// Each variable of the arguments is one that the script reads.
	for arg := range strings.FieldsSeq(run.Spec.Arguments) {
		if name, _, ok := strings.Cut(arg, "="); ok && !strings.Contains(string(want), "__ENV."+name) && !strings.Contains(string(want), "number('"+name+"'") {
			t.Errorf("the script does not read the variable %s", name)
		}
	}
	// The URL is that of the Service.
	service := build(t, base).services[0]
	if url := "-e URL=ws://" + service.Name + "/ "; !strings.Contains(run.Spec.Arguments, url) || service.Spec.Ports[0].Port != 80 {
		t.Errorf("got the arguments %q, want %q and port 80 in the Service", run.Spec.Arguments, url)
	}
	// The image has the version of k6 that runs the script in the tests.
	module, err := os.ReadFile("../k6/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`go\.k6\.io/k6 v(\S+)`).FindSubmatch(module)
	if version == nil || run.Spec.Runner.Image != "grafana/k6:"+string(version[1]) {
		t.Errorf("got the image %s, want the version %q of go.mod", run.Spec.Runner.Image, version)
	}

	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	pod := &corev1.PodSpec{
		SecurityContext: &run.Spec.Runner.SecurityContext,
		Containers:      []corev1.Container{{Name: "k6", SecurityContext: &run.Spec.Runner.ContainerSecurityContext}},
	}
	for _, r := range evaluator.EvaluatePod(api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}, &run.ObjectMeta, pod) {
		if !r.Allowed {
			t.Errorf("%s: %s", r.ForbiddenReason, r.ForbiddenDetail)
		}
	}
}
