package metrics_test

import (
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"example.com/wsecho/metrics"
	"example.com/wsecho/server"
)

func ExampleNew() {
	m := metrics.New(metrics.Options{})
	s, err := server.New(echoes, server.Options{Observer: m.Observer()})
	if err != nil {
		fmt.Println(err)
		return
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(m)
	mux := http.NewServeMux()
	mux.Handle("/ws", s)
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))

	families, err := registry.Gather()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range families {
		if f.GetName() == "wsecho_connections" {
			fmt.Println(f.GetHelp(), f.Metric[0].GetGauge().GetValue())
		}
	}
	// Output: Open connections. 0
}
