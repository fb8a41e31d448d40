package telemetry

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"
)

// NewRegistry returns a registry that already tells of the process and of the Go runtime.
func NewRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// Stage counts the items that go through one stage. At any time In = Out + the sum of Dropped + what is in flight.
type Stage struct {
	In, Out prometheus.Counter
	dropped *prometheus.CounterVec
}

// NewStage registers vitrine_<name>_{in,out,dropped}_total. Items is what is counted, in the plural; the reasons are all
// that Drop may be called with, so that a loss that has not happened yet shows as 0. A nil registerer is allowed.
func NewStage(reg prometheus.Registerer, name, items string, reasons ...string) *Stage {
	counter := func(what, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "vitrine_" + name + "_" + what + "_total", Help: help})
		return register(reg, c)
	}
	s := &Stage{
		In:  counter("in", "Number of "+items+" that came in."),
		Out: counter("out", "Number of "+items+" that were handed on."),
		dropped: register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "vitrine_" + name + "_dropped_total", Help: "Number of " + items + " that were lost, by reason.",
		}, []string{"reason"})),
	}
	for _, r := range reasons {
		s.dropped.WithLabelValues(r)
	}
	return s
}

// Drop counts n lost items.
func (s *Stage) Drop(reason string, n int) { s.dropped.WithLabelValues(reason).Add(float64(n)) }

// Counter registers vitrine_<name>_total.
func Counter(reg prometheus.Registerer, name, help string) prometheus.Counter {
	return register(reg, prometheus.NewCounter(prometheus.CounterOpts{Name: "vitrine_" + name + "_total", Help: help}))
}

// CounterFunc registers vitrine_<name>_total, whose value someone else counts. Labels is pairs of name and value.
func CounterFunc(reg prometheus.Registerer, name, help string, labels prometheus.Labels, value func() uint64) {
	register(reg, prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "vitrine_" + name + "_total", Help: help, ConstLabels: labels},
		func() float64 { return float64(value()) }))
}

// Gauge registers vitrine_<name>, whose value is asked for.
func Gauge(reg prometheus.Registerer, name, help string, value func() float64) {
	register(reg, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "vitrine_" + name, Help: help}, value))
}

func register[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	if reg != nil {
		reg.MustRegister(c)
	}
	return c
}

// Value is one counter or gauge of Vitrine's own.
type Value struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels,omitempty"`
	Value  float64           `json:"value"`
}

// Values reads all vitrine_ counters and gauges, sorted by name.
func Values(g prometheus.Gatherer) ([]Value, error) {
	families, err := g.Gather()
	if err != nil {
		return nil, fmt.Errorf("gather metrics: %w", err)
	}
	var out []Value
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "vitrine_") {
			continue
		}
		for _, m := range f.GetMetric() {
			if v, ok := valueOf(f.GetType(), m); ok {
				out = append(out, Value{Name: f.GetName(), Labels: labelsOf(m), Value: v})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Value) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func valueOf(t dto.MetricType, m *dto.Metric) (v float64, ok bool) {
	switch t {
	case dto.MetricType_COUNTER:
		return m.GetCounter().GetValue(), true
	case dto.MetricType_GAUGE:
		return m.GetGauge().GetValue(), true
	}
	return 0, false
}

func labelsOf(m *dto.Metric) map[string]string {
	if len(m.GetLabel()) == 0 {
		return nil
	}
	labels := make(map[string]string, len(m.GetLabel()))
	for _, l := range m.GetLabel() {
		labels[l.GetName()] = l.GetValue()
	}
	return labels
}
