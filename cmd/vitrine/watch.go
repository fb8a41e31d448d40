package main

import (
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/inspect"
	"github.com/vitrine-ndr/vitrine/internal/telemetry"
	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/source/gateway"
	"github.com/vitrine-ndr/vitrine/source/probe"
	"github.com/vitrine-ndr/vitrine/source/sensor"
	"github.com/vitrine-ndr/vitrine/store/blob"
)

// alarms says what needs a person now: first the store's, then the bus's, then those of the packet folders.
func (m *machine) alarms() []api.Alarm {
	out := []api.Alarm{}
	for _, a := range m.db.Alarms() {
		out = append(out, api.Alarm{Code: a.Code, Message: a.Message, Since: a.Since})
	}
	if since, err := m.bus.Health(); err != nil {
		out = append(out, api.Alarm{Code: "bus_down", Message: "events can't be handed on, and live ones are lost once memory is full: " + err.Error(), Since: since})
	}
	if m.gateway != nil {
		faults := m.gateway.Faults()
		if since, on := m.began.note("gateway_policies", len(faults) > 0, time.Now()); on {
			out = append(out, api.Alarm{Code: "gateway_policies", Message: strings.Join(faults, "; "), Since: since})
		}
	}
	for form, packets := range map[string]*blob.Packets{"before": m.before, "after": m.after} {
		code := "packets_" + form
		err := packets.Health()
		since, on := m.began.note(code, err != nil, time.Now())
		if on {
			out = append(out, api.Alarm{Code: code, Message: "packets are not recorded: " + err.Error(), Since: since})
		}
	}
	return out
}

// beginnings remembers since when a condition has been seen. The zero value is ready.
type beginnings struct {
	mu    sync.Mutex
	since map[string]time.Time
}

// note tells of a condition whether it holds and since when it was seen to.
func (b *beginnings) note(name string, on bool, now time.Time) (time.Time, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !on {
		delete(b.since, name)
		return time.Time{}, false
	}
	if b.since == nil {
		b.since = map[string]time.Time{}
	}
	if _, ok := b.since[name]; !ok {
		b.since[name] = now
	}
	return b.since[name], true
}

// registerMetrics publishes what the parts count themselves.
func (m *machine) registerMetrics() {
	count := func(name, help string, labels prometheus.Labels, value func() uint64) {
		telemetry.CounterFunc(m.metrics, name, help, labels, value)
	}
	if m.sensor != nil {
		registerSensor(count, m.sensor)
	}
	registerInspector(count, event.Sensor, m.inspector)
	if m.probe != nil {
		registerInspector(count, event.Probe, m.probe.inspector)
		registerProbe(count, m.probe.probe)
	}
	if m.gateway != nil {
		registerInspector(count, event.Gateway, m.gateway.inspector)
		registerGateway(count, m.gateway.Stats)
	}
	registerPackets(count, "before", m.before)
	registerPackets(count, "after", m.after)
	count("keylog_secrets", "Session secrets that were read.", nil, func() uint64 { return m.keys.Stats().Added })
	count("keylog_malformed_lines", "Lines of key logs that are not in the format.", nil, func() uint64 { return m.keys.Stats().Malformed })
	count("keylog_dropped_sessions", "Sessions whose secrets made room for later ones.", nil, func() uint64 { return m.keys.Stats().Dropped })
}

// counting registers one counter.
type counting func(name, help string, labels prometheus.Labels, value func() uint64)

func registerSensor(count counting, s *sensor.Sensor) {
	stats := s.Stats
	count("capture_packets", "Packets that the kernel had for the sensor.", nil, func() uint64 { return stats().Received })
	count("capture_dropped_packets", "Packets that the kernel lost because the sensor was too slow.", nil, func() uint64 { return stats().Dropped })
	count("capture_failures", "Interfaces that failed while they were captured on.", nil, func() uint64 { return stats().Failures })
	count("reassembly_packets", "Packets given to reassembly.", nil, func() uint64 { return stats().Packets })
	count("reassembly_segments", "TCP segments and UDP datagrams among them.", nil, func() uint64 { return stats().Segments })
	count("reassembly_gap_bytes", "Payload that was never seen.", nil, func() uint64 { return stats().GapBytes })
	count("reassembly_evicted_conns", "Connections closed to make room.", nil, func() uint64 { return stats().Evicted })
	count("reassembly_conns", "Connections followed.", nil, func() uint64 { return stats().Conns })
	count("decrypt_plaintext_bytes", "Application data that was decrypted.", nil, func() uint64 { return stats().Plaintext })
	count("decrypt_lost_bytes", "Application data that was not decrypted.", nil, func() uint64 { return stats().Lost })
	count("decrypt_tls_conns", "TLS connections that have ended.", prometheus.Labels{"decrypted": "yes"}, func() uint64 { return stats().Decrypted })
	count("decrypt_tls_conns", "TLS connections that have ended.", prometheus.Labels{"decrypted": "partial"}, func() uint64 { return stats().Partial })
	count("decrypt_tls_conns", "TLS connections that have ended.", prometheus.Labels{"decrypted": "no"}, func() uint64 {
		s := stats()
		return s.TLS - s.Decrypted - s.Partial
	})
}

func registerProbe(count counting, p *probe.Probe) {
	stats := p.Stats
	count("probe_conns", "Connections that the probe followed.", nil, func() uint64 { return stats().Conns })
	count("probe_untied_conns", "Connections whose addresses are unknown.", nil, func() uint64 { return stats().Untied })
	count("probe_dropped_conns", "Connections given up to make room.", nil, func() uint64 { return stats().Dropped })
	count("probe_plaintext_bytes", "Plaintext that was seen.", nil, func() uint64 { return stats().Plaintext })
	count("probe_gap_bytes", "Plaintext that was not seen.", nil, func() uint64 { return stats().Lost })
	for _, reason := range probe.LossReasons() {
		count("probe_losses", "Bytes, records or calls that the kernel could not hand over.", prometheus.Labels{"reason": reason}, func() uint64 {
			for _, l := range stats().Losses {
				if l.Reason == reason {
					return l.Count
				}
			}
			return 0
		})
	}
}

func registerGateway(count counting, stats func() gateway.Stats) {
	for _, action := range []flow.Action{flow.Inspect, flow.Bypass, flow.Block} {
		count("gateway_conns", "Connections that have ended, by what was done with them.", prometheus.Labels{"action": string(action)}, func() uint64 { return stats().Actions[action] })
	}
	for reason, n := range map[string]func(gateway.Stats) uint64{
		"request": func(s gateway.Stats) uint64 { return s.Refused }, "unreachable": func(s gateway.Stats) uint64 { return s.Unreachable },
		"guarded": func(s gateway.Stats) uint64 { return s.Guarded }, "blocked": func(s gateway.Stats) uint64 { return s.Blocked },
		"over_capacity": func(s gateway.Stats) uint64 { return s.OverCapacity }, "over_client": func(s gateway.Stats) uint64 { return s.OverClient },
	} {
		count("gateway_refused", "Connections and requests that got no answer from a server.", prometheus.Labels{"reason": reason}, func() uint64 { return n(stats()) })
	}
	count("gateway_accept_errors", "Connections that the machine had no room for.", nil, func() uint64 { return stats().AcceptErrors })
	count("gateway_panics", "Connections that failed by a fault of the gateway.", nil, func() uint64 { return stats().Panics })
}

func registerInspector(count counting, v event.Vantage, i *inspect.Inspector) {
	stats, labels := i.Stats, prometheus.Labels{"vantage": string(v)}
	count("inspect_streams", "Streams inspected.", labels, func() uint64 { return stats().Streams })
	count("inspect_events", "Events emitted.", labels, func() uint64 { return stats().Events })
	count("inspect_plaintext_bytes", "Plaintext inspected.", labels, func() uint64 { return stats().Plaintext })
	count("inspect_anomalies", "Anomalies among the events.", labels, func() uint64 { return stats().Anomalies })
	count("inspect_unknown_streams", "Streams of no known protocol.", labels, func() uint64 { return stats().Unknown })
	count("inspect_gave_up", "Parsers that could not go on.", labels, func() uint64 { return stats().GaveUp })
	count("inspect_over_memory", "Parsers that waited for more than there was memory for.", labels, func() uint64 { return stats().OverMemory })
	count("inspect_panics", "Parsers that failed.", labels, func() uint64 { return stats().Panics })
}

func registerPackets(count counting, form string, p *blob.Packets) {
	stats := p.Stats
	labels := func(reason string) prometheus.Labels {
		l := prometheus.Labels{"form": form}
		if reason != "" {
			l["reason"] = reason
		}
		return l
	}
	count("packets_in", "Packets to record.", labels(""), func() uint64 { return stats().Appended })
	count("packets_out", "Packets recorded.", labels(""), func() uint64 { return stats().Written })
	count("packets_dropped", "Packets that were not recorded, by reason.", labels("busy"), func() uint64 { return stats().DroppedBusy })
	count("packets_dropped", "Packets that were not recorded, by reason.", labels("disk"), func() uint64 { return stats().DroppedDisk })
	count("packets_dropped", "Packets that were not recorded, by reason.", labels("stopped"), func() uint64 { return stats().DroppedStopped })
}
