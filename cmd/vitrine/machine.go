package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vitrine-ndr/vitrine/bus"
	"github.com/vitrine-ndr/vitrine/capture"
	"github.com/vitrine-ndr/vitrine/decrypt/keylog"
	"github.com/vitrine-ndr/vitrine/enrich"
	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/export"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/inspect"
	"github.com/vitrine-ndr/vitrine/internal/datafolder"
	"github.com/vitrine-ndr/vitrine/internal/telemetry"
	"github.com/vitrine-ndr/vitrine/reassembly"
	"github.com/vitrine-ndr/vitrine/server"
	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/server/client"
	"github.com/vitrine-ndr/vitrine/server/gateways"
	"github.com/vitrine-ndr/vitrine/source"
	"github.com/vitrine-ndr/vitrine/source/probe/keylogenv"
	"github.com/vitrine-ndr/vitrine/source/sensor"
	"github.com/vitrine-ndr/vitrine/state"
	"github.com/vitrine-ndr/vitrine/store"
	"github.com/vitrine-ndr/vitrine/store/blob"
	"github.com/vitrine-ndr/vitrine/web"
)

// machine is everything that vitrine up runs.
type machine struct {
	cfg      *upConfig
	log      *slog.Logger
	metrics  *prometheus.Registry
	host     string // name of this agent
	url      string // of the console
	password string // of a new account, or empty

	folder    *datafolder.Folder
	keys      *keylog.Store
	inspector *inspect.Inspector
	sensor    *sensor.Sensor  // nil if it is off
	sensorWhy string          // what it works on, or why it is off
	probe     *probeRole      // nil if it was never started
	probeOff  api.RoleOf      // why there is none
	gateway   *gatewayRole    // nil if it is off
	join      *enrich.Join    // of the sensor's and the probe's connections
	relayed   *enrich.Relayed // connections that are the gateway's own

	before, after *blob.Packets
	state         *state.DB
	book          *gateways.Book // of what people have decided about the gateway
	bus           *bus.Bus
	publishers    []*bus.Publisher // of live sources
	db            *store.DB
	server        *server.Server
	listener      net.Listener

	began   beginnings     // of conditions that raise alarms
	closers []func() error // in the order of opening
}

// open opens everything and runs nothing yet. What is cheap and fails often comes first.
func open(ctx context.Context, cfg *upConfig, log *slog.Logger) (*machine, error) {
	m := &machine{cfg: cfg, log: log, metrics: telemetry.NewRegistry(), keys: keylog.NewStore(keylog.DefaultSessions), join: enrich.New(), relayed: enrich.NewRelayed()}
	steps := []func(context.Context) error{m.openFolder, m.openListener, m.openSensor, m.openPackets, m.openState, m.openBus, m.openProbe, m.openGateway, m.openStore, m.openServer, m.openAccess}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, m.close())
		}
	}
	m.registerMetrics()
	return m, nil
}

// close closes everything, what was opened last first.
func (m *machine) close() error {
	var errs []error
	for _, f := range slices.Backward(m.closers) {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

func (m *machine) closeLater(f func() error) { m.closers = append(m.closers, f) }

func (m *machine) openFolder(context.Context) (err error) {
	if m.folder, err = datafolder.Open(m.cfg.Data); err != nil {
		return err
	}
	m.closeLater(m.folder.Close)
	if err = os.MkdirAll(m.cfg.path("keylog"), 0o700); err != nil {
		return fmt.Errorf("make folder for key logs: %w", err)
	}
	if m.host, err = os.Hostname(); err != nil {
		return fmt.Errorf("read host name: %w", err)
	}
	return nil
}

// keyLogs are the files and folders of key logs that are followed: a folder of our own, that of this machine's programs in key-log mode,
// and what was asked for.
func (m *machine) keyLogs() []string {
	return append([]string{m.cfg.path("keylog"), keylogenv.DefaultFile}, m.cfg.KeyLogs...)
}

func (m *machine) openListener(ctx context.Context) (err error) {
	if m.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", m.cfg.Listen); err != nil {
		return fmt.Errorf("open the console's port: %w; choose another one with --listen", err)
	}
	m.closeLater(func() error {
		if err := m.listener.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	m.url = consoleURL(m.listener.Addr())
	return nil
}

// consoleURL returns an address that can be opened on this machine.
func consoleURL(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "https://" + net.JoinHostPort(host, port)
}

// openSensor decides whether the sensor can run. Without the permission it stays off, unless an interface was asked for.
func (m *machine) openSensor(context.Context) error {
	names := m.cfg.Interfaces
	if len(names) == 0 {
		names = []string{capture.AnyInterface}
	}
	inputs := make([]sensor.Input, 0, len(names))
	for _, name := range names {
		live := capture.LiveConfig{Interface: name, Promiscuous: len(m.cfg.Interfaces) > 0, RingBytes: int(m.cfg.Sensor.Ring)}
		first, err := capture.OpenLive(live)
		if errors.Is(err, os.ErrPermission) {
			err = errors.New("capturing needs root or CAP_NET_RAW")
		}
		if err != nil && len(m.cfg.Interfaces) > 0 {
			return fmt.Errorf("open sensor on %s: %w", name, err)
		}
		if err != nil {
			m.sensorWhy = err.Error()
			return nil
		}
		inputs = append(inputs, sensor.Input{Name: name, Open: m.reopen(first, live)})
	}
	m.sensorWhy = "capturing on all interfaces"
	if len(m.cfg.Interfaces) > 0 {
		m.sensorWhy = "capturing on " + strings.Join(names, ", ")
	}
	cfg := sensor.Config{
		Inputs: inputs, Live: true, Keys: m.keys, KeyWait: m.cfg.Sensor.KeyWait, CloseWait: sensor.DefaultCloseWait,
		HeldBytes: int64(m.cfg.Sensor.Memory),
		Recorder:  recorder{m}, Ignore: m.isConsole(), Reassembly: reassembly.DefaultConfig(),
	}
	cfg.Reassembly.Seed = flow.NewSeed()
	m.sensor = sensor.New(cfg, m.log.With("component", "sensor"))
	return nil
}

// isConsole recognises the console's own connections. They would show as traffic without a key, and there is nothing in them that people
// look for here.
func (m *machine) isConsole() func(flow.Tuple) bool {
	at := m.listener.Addr().(*net.TCPAddr).AddrPort()
	local := map[netip.Addr]bool{at.Addr().Unmap(): true}
	if at.Addr().IsUnspecified() {
		addrs, _ := net.InterfaceAddrs() // without them, the connections show
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				local[p.Addr()] = true
			}
		}
	}
	return func(t flow.Tuple) bool {
		return t.Proto == flow.TCP && t.Server.Port == at.Port() && local[t.Server.IP]
	}
}

// reopen returns first, and a new ring each time after that. What comes between the opening of first and the sensor's start
// waits in its ring, so that nothing is missed from the moment at which Vitrine says that it runs.
func (m *machine) reopen(first *capture.Live, live capture.LiveConfig) func() (capture.Reader, error) {
	taken := false
	m.closeLater(func() error {
		if taken {
			return nil
		}
		return first.Close()
	})
	return func() (capture.Reader, error) {
		if !taken {
			taken = true
			return first, nil
		}
		return capture.OpenLive(live)
	}
}

// recorder hands packets to the folder, which is opened after the sensor was made.
type recorder struct{ m *machine }

func (r recorder) Append(conn flow.ID, p *capture.Packet) { r.m.before.Append(conn, p) }

// sink records the plaintext of TLS connections on its way to next.
func (m *machine) sink(next source.Sink, after export.Recorder) source.Sink {
	return export.PlainSink(next, after, export.PlainOptions{OnlyTLS: true})
}

func (m *machine) openPackets(context.Context) (err error) {
	log := m.log.With("component", "packets")
	if m.before, err = blob.Open(m.cfg.packets("before", m.cfg.Packets.Before), log); err != nil {
		return err
	}
	m.closeLater(m.before.Close)
	if m.after, err = blob.Open(m.cfg.packets("after", m.cfg.Packets.After), log); err != nil {
		return err
	}
	m.closeLater(m.after.Close)
	return nil
}

func (m *machine) openState(ctx context.Context) (err error) {
	if m.state, err = state.Open(ctx, state.DefaultConfig(m.cfg.path("state.db")), m.log); err != nil {
		return err
	}
	m.closeLater(m.state.Close)
	m.book, err = gateways.OpenBook(m.state, m.cfg.Data, m.cfg.Gateway.Modules)
	return err
}

// localToken names the token of the command line on this machine. It has a new secret after each start. It may do everything: who
// can read the data folder could change the accounts in it anyway.
const localToken = "local command line"

// openAccess lets people in. It comes last: a password is made once, and must be announced.
func (m *machine) openAccess(ctx context.Context) error {
	secret, _, err := m.state.RenewToken(ctx, state.Token{Name: localToken, Role: state.Admin, Created: time.Now()})
	if err != nil {
		return err
	}
	if err := (&client.Access{Server: m.url, Token: secret}).Save(m.cfg.Data); err != nil {
		return err
	}
	given := os.Getenv("VITRINE_ADMIN_PASSWORD")
	password, err := m.state.EnsureAdmin(ctx, given, time.Now())
	if given == "" {
		m.password = password
	}
	return err
}

func (m *machine) openBus(ctx context.Context) (err error) {
	cfg := m.cfg.bus()
	cfg.Metrics = m.metrics
	if m.bus, err = bus.Open(ctx, cfg, m.log.With("component", "bus")); err != nil {
		return err
	}
	m.closeLater(m.bus.Close)
	publisher := m.openPublisher(event.Sensor)
	m.inspector = newInspector(event.Origin{Agent: m.host, Vantage: event.Sensor}, publisher.Emit, m.log.With("component", "inspector"))
	return nil
}

func (m *machine) openPublisher(v event.Vantage) *bus.Publisher {
	p := m.bus.Publisher(bus.PublisherConfig{Vantage: v})
	m.publishers = append(m.publishers, p)
	return p
}

// orphanTime is how long the engine of a process that was killed may take to end.
const orphanTime = 30 * time.Second

// openStore opens the event store; after a crash it waits until the engine of the process before is gone.
func (m *machine) openStore(ctx context.Context) (err error) {
	cfg := m.cfg.store()
	for end := time.Now().Add(orphanTime); ; {
		counters := prometheus.NewRegistry()
		cfg.Metrics = counters
		if m.db, err = store.Open(ctx, cfg, m.log); err == nil {
			m.closeLater(m.db.Close)
			return m.metrics.Register(counters)
		}
		if !m.folder.Crashed || cfg.URL != "" || ctx.Err() != nil || time.Now().After(end) {
			return err
		}
		m.log.Warn("the event store does not open after a crash: will try again", "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (m *machine) openServer(context.Context) error {
	console, err := web.Handler()
	if err != nil {
		return err
	}
	cfg := server.DefaultConfig(m.cfg.Data)
	cfg.Version, cfg.Names = versionText(), append([]string{m.host}, m.cfg.Names...)
	deps := server.Deps{
		State: m.state, Events: m.db, Live: m.bus, Before: m.before, After: m.after, KeyLog: m.keyLog, Replay: m.replay,
		Console: console, Roles: m.roles, Alarms: m.alarms, Metrics: m.metrics, Book: m.book,
	}
	if m.probe != nil {
		deps.Probe = m.probe
	}
	if m.gateway != nil {
		deps.Gateway = m.gateway
	}
	m.server, err = server.New(cfg, deps, m.log.With("component", "server"))
	return err
}
