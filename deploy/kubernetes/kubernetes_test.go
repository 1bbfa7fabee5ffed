package kubernetes

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

const base, plain = ".", "../kubernetes-plain"

// flag returns the value of a flag in the arguments of the container.
func flag(t *testing.T, c corev1.Container, name string) string {
	t.Helper()
	for _, arg := range c.Args {
		if value, ok := strings.CutPrefix(arg, "--"+name+"="); ok {
			return value
		}
	}
	t.Fatalf("got no --%s in %q", name, c.Args)
	return ""
}

func duration(t *testing.T, c corev1.Container, name string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(flag(t, c, name))
	if err != nil {
		t.Fatalf("--%s: %v", name, err)
	}
	return d
}

// TestGrace checks that a pod can drain before Kubernetes kills it. Load balancers must
// see the drain before the port is closed.
func TestGrace(t *testing.T) {
	o := build(t, base)
	c, pod := o.container(t), o.deployment.Spec.Template.Spec
	if c.Lifecycle == nil || c.Lifecycle.PreStop == nil || c.Lifecycle.PreStop.Sleep == nil {
		t.Fatal("got no sleep in preStop")
	}
	sleep := time.Duration(c.Lifecycle.PreStop.Sleep.Seconds) * time.Second
	delay, timeout := duration(t, c, "drain-delay"), duration(t, c, "drain-timeout")
	grace := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second
	if spread, closing := duration(t, c, "drain-spread"), 3*time.Second; spread+closing > timeout {
		t.Errorf("the drain spread is %v, and the drain timeout %v leaves no time for the last closing handshake", spread, timeout)
	}
	if need := sleep + delay + timeout + 5*time.Second; grace < need {
		t.Errorf("the grace period is %v, want at least %v: preStop %v, drain delay %v, drain timeout %v, and 5s", grace, need, sleep, delay, timeout)
	}
	ready := c.ReadinessProbe
	if seen := time.Duration(ready.PeriodSeconds*ready.FailureThreshold+ready.TimeoutSeconds) * time.Second; seen >= delay {
		t.Errorf("the readiness probe fails after up to %v, want less than the drain delay of %v", seen, delay)
	}
}

// TestNames checks all references between the objects.
func TestNames(t *testing.T) {
	for _, folder := range []string{base, plain} {
		o := build(t, folder)
		pod, c := o.deployment.Spec.Template, o.container(t)
		if pod.Spec.ServiceAccountName != o.account.Name {
			t.Errorf("%s: got service account %q, want %q", folder, pod.Spec.ServiceAccountName, o.account.Name)
		}
		selectors := map[string]*metav1.LabelSelector{
			"Deployment": o.deployment.Spec.Selector, "PodDisruptionBudget": o.budget.Spec.Selector, "NetworkPolicy": &o.policy.Spec.PodSelector,
		}
		for i, s := range pod.Spec.TopologySpreadConstraints {
			selectors["topology spread "+strconv.Itoa(i)] = s.LabelSelector
		}
		for _, s := range o.services {
			selectors["Service "+s.Name] = &metav1.LabelSelector{MatchLabels: s.Spec.Selector}
		}
		for name, s := range selectors {
			selector, err := metav1.LabelSelectorAsSelector(s)
			if err != nil || selector.Empty() || !selector.Matches(labels.Set(pod.Labels)) {
				t.Errorf("%s: the selector of %s is %v, %v, and the pods have %v", folder, name, selector, err, pod.Labels)
			}
		}
		ports := make(map[string]int32)
		for _, p := range c.Ports {
			ports[p.Name] = p.ContainerPort
		}
		used := map[string]intstr.IntOrString{
			"startup": c.StartupProbe.HTTPGet.Port, "liveness": c.LivenessProbe.HTTPGet.Port, "readiness": c.ReadinessProbe.HTTPGet.Port,
		}
		for _, s := range o.services {
			for _, p := range s.Spec.Ports {
				used["Service "+s.Name+" "+p.Name] = p.TargetPort
			}
		}
		for i, rule := range o.policy.Spec.Ingress {
			for _, p := range rule.Ports {
				used["NetworkPolicy rule "+strconv.Itoa(i)] = *p.Port
			}
		}
		for name, p := range used {
			if ports[p.StrVal] == 0 {
				t.Errorf("%s: %s uses the port %s, and the container has %v", folder, name, p.String(), slices.Collect(maps.Keys(ports)))
			}
		}
		for name, port := range map[string]string{"addr": "ws", "admin-addr": "admin"} {
			if got, want := flag(t, c, name), ":"+strconv.Itoa(int(ports[port])); got != want {
				t.Errorf("%s: got --%s=%s, want %s", folder, name, got, want)
			}
		}
	}
}

// TestService checks that proxies treat the port as one for WebSockets.
func TestService(t *testing.T) {
	s := build(t, base).services[0]
	p := s.Spec.Ports[0]
	if s.Name != "wsecho" || p.AppProtocol == nil || *p.AppProtocol != "kubernetes.io/ws" {
		t.Errorf("got %s with %+v, want appProtocol kubernetes.io/ws", s.Name, p)
	}
}

// TestRestricted checks the pod against the strictest Pod Security Standard, with the
// evaluator of Kubernetes.
func TestRestricted(t *testing.T) {
	o := build(t, base)
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	pod := o.deployment.Spec.Template
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, r := range evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec) {
		if !r.Allowed {
			t.Errorf("%s: %s", r.ForbiddenReason, r.ForbiddenDetail)
		}
	}
	security := o.container(t).SecurityContext
	if security.ReadOnlyRootFilesystem == nil || !*security.ReadOnlyRootFilesystem {
		t.Error("the root file system is not read-only")
	}
	for name, b := range map[string]*bool{"the token of the account": pod.Spec.AutomountServiceAccountToken, "service links": pod.Spec.EnableServiceLinks} {
		if b == nil || *b {
			t.Errorf("%s must be off", name)
		}
	}
	// The image has the same user.
	dockerfile, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	user := regexp.MustCompile(`(?m)^USER (\d+):(\d+)$`).FindStringSubmatch(string(dockerfile))
	if user == nil || strconv.Itoa(int(*pod.Spec.SecurityContext.RunAsUser)) != user[1] || strconv.Itoa(int(*pod.Spec.SecurityContext.RunAsGroup)) != user[2] {
		t.Errorf("the pod runs as %d:%d, and the Dockerfile has %q", *pod.Spec.SecurityContext.RunAsUser, *pod.Spec.SecurityContext.RunAsGroup, user)
	}
}

// TestMemory checks that the Go runtime knows the memory limit.
func TestMemory(t *testing.T) {
	c := build(t, base).container(t)
	limit := c.Resources.Limits.Memory().Value()
	var heap int64
	for _, e := range c.Env {
		if e.Name == "GOMEMLIMIT" {
			mib, err := strconv.ParseInt(strings.TrimSuffix(e.Value, "MiB"), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			heap = mib << 20
		}
	}
	if heap < limit*75/100 || heap > limit*85/100 {
		t.Errorf("got GOMEMLIMIT %d with a memory limit of %d, want 75 to 85 %%", heap, limit)
	}
}

// TestMonitor checks that Prometheus finds the admin port, and that only Prometheus may
// connect. The job must have the name in the alerts.
func TestMonitor(t *testing.T) {
	o := build(t, base)
	if o.monitor == nil || len(o.monitor.Spec.Endpoints) != 1 {
		t.Fatalf("got %+v, want a ServiceMonitor with one endpoint", o.monitor)
	}
	selector, err := metav1.LabelSelectorAsSelector(&o.monitor.Spec.Selector)
	if err != nil {
		t.Fatal(err)
	}
	alerts, err := os.ReadFile("../prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, s := range o.services {
		if !selector.Matches(labels.Set(s.Labels)) {
			continue
		}
		// The operator names the job after the Service if it has no such label.
		job := cmp.Or(s.Labels[o.monitor.Spec.JobLabel], s.Name)
		for _, alert := range []string{"up", "process_open_fds"} {
			if selector := fmt.Sprintf("%s{job=%q}", alert, job); !strings.Contains(string(alerts), selector) {
				t.Errorf("the job is %s, and no alert has %s", job, selector)
			}
		}
		for _, p := range s.Spec.Ports {
			if p.Name == o.monitor.Spec.Endpoints[0].Port {
				found++
			}
		}
	}
	if found != 1 {
		t.Errorf("the ServiceMonitor selects %d ports, want 1", found)
	}
	for _, rule := range o.policy.Spec.Ingress {
		for _, p := range rule.Ports {
			if open := len(rule.From) == 0; open != (p.Port.StrVal == "ws") {
				t.Errorf("the port %s is open to all: %v, want only ws", p.Port, open)
			}
		}
	}
	if len(o.policy.Spec.Egress) != 0 || len(o.policy.Spec.PolicyTypes) != 2 {
		t.Errorf("got egress %v and types %v, want no egress", o.policy.Spec.Egress, o.policy.Spec.PolicyTypes)
	}
}

// TestScaler checks that replicas are added before connections are refused.
func TestScaler(t *testing.T) {
	o := build(t, base)
	spec := o.scaler.Spec
	if ref := spec.ScaleTargetRef; ref.APIVersion != o.deployment.APIVersion || ref.Kind != o.deployment.Kind || ref.Name != o.deployment.Name {
		t.Errorf("the scaler scales %+v, want the Deployment %s", ref, o.deployment.Name)
	}
	most, err := strconv.ParseInt(flag(t, o.container(t), "max-conns"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	target := spec.Metrics[0].Pods.Target.AverageValue.Value()
	if target > most*2/3 || *spec.MinReplicas < 2 || spec.MaxReplicas <= *spec.MinReplicas {
		t.Errorf("got %d to %d replicas with %d connections each, and --max-conns=%d", *spec.MinReplicas, spec.MaxReplicas, target, most)
	}
	if w := time.Duration(*spec.Behavior.ScaleDown.StabilizationWindowSeconds) * time.Second; w < duration(t, o.container(t), "max-age") {
		t.Errorf("the scaler removes replicas after %v, want at least --max-age", w)
	}
	if o.budget.Spec.MaxUnavailable == nil || int(o.budget.Spec.MaxUnavailable.IntVal) >= int(*spec.MinReplicas) {
		t.Errorf("the budget allows %v pods to be unavailable, and %d may run", o.budget.Spec.MaxUnavailable, *spec.MinReplicas)
	}
}

// TestPlain checks that the other folder needs neither the Prometheus operator nor a
// metrics API.
func TestPlain(t *testing.T) {
	o := build(t, plain)
	if o.scaler != nil || o.monitor != nil {
		t.Errorf("got %v and %v, want neither", o.scaler, o.monitor)
	}
	if n := o.deployment.Spec.Replicas; n == nil || *n != 3 {
		t.Errorf("got %v replicas, want 3", n)
	}
	if n := build(t, base).deployment.Spec.Replicas; n != nil {
		t.Errorf("got %d replicas in the base, want none: the HorizontalPodAutoscaler sets them", *n)
	}
}
