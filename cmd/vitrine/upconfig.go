package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"time"

	"github.com/vitrine-ndr/vitrine/bus"
	"github.com/vitrine-ndr/vitrine/cmd/vitrine/inline"
	"github.com/vitrine-ndr/vitrine/internal/config"
	"github.com/vitrine-ndr/vitrine/internal/datafolder"
	"github.com/vitrine-ndr/vitrine/internal/governor"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/source/probe/filter"
	"github.com/vitrine-ndr/vitrine/source/sensor"
	"github.com/vitrine-ndr/vitrine/store"
	"github.com/vitrine-ndr/vitrine/store/blob"
)

const day = 24 * time.Hour

// upConfig is the configuration of vitrine up. Every default is bounded.
type upConfig struct {
	Data       string     `yaml:"data" flag:"data" doc:"folder for all data"`
	Listen     string     `yaml:"listen" flag:"listen" doc:"address and port of the console"`
	Names      []string   `yaml:"names" doc:"host names and addresses that the console's certificate is for, besides loopback"`
	Interfaces []string   `yaml:"iface" flag:"iface" doc:"interface to capture on; may be given several times; all if not given"`
	KeyLogs    []string   `yaml:"keylog" flag:"keylog" doc:"TLS key log to follow, or a folder of them, besides the folder keylog in the data folder; may be given several times"`
	NoProbe    bool       `yaml:"no_probe" flag:"no-probe" doc:"do not see into this machine's programs"`
	Log        slog.Level `yaml:"log" doc:"least level of what is logged: debug, info, warn or error"`

	folder string // that files which the configuration names lie in

	Sensor    sensorConfig    `yaml:"sensor"`
	Probe     probeConfig     `yaml:"probe"`
	Gateway   inline.Config   `yaml:"gateway"`
	Retention retentionConfig `yaml:"retention"`
	Packets   packetsConfig   `yaml:"packets"`
	Store     storeConfig     `yaml:"store"`
	Bus       busConfig       `yaml:"bus"`
}

type sensorConfig struct {
	KeyWait time.Duration `yaml:"key_wait" doc:"how long ciphertext waits for its key"`
	Memory  config.Size   `yaml:"memory" doc:"ciphertext that waits for keys, of all connections together"`
	Ring    config.Size   `yaml:"ring" doc:"memory of the kernel's ring for each interface"`
}

type probeConfig struct {
	Filter filter.Rules    `yaml:"filter"`
	Budget governor.Config `yaml:"budget"`
}

type retentionConfig struct {
	Days int         `yaml:"days" doc:"age at which events are dropped"`
	Disk config.Size `yaml:"disk" doc:"disk space for events"`
}

type packetsConfig struct {
	Days   int         `yaml:"days" doc:"age at which packets are dropped"`
	Before config.Size `yaml:"before" doc:"disk space for packets as captured"`
	After  config.Size `yaml:"after" doc:"disk space for packets that carry the plaintext"`
}

type storeConfig struct {
	URL    string      `yaml:"url" doc:"ClickHouse server; the embedded engine if empty"`
	Memory config.Size `yaml:"memory" doc:"memory of the embedded engine"`
}

type busConfig struct {
	URL         string      `yaml:"url" doc:"NATS cluster; embedded if empty"`
	CA          string      `yaml:"ca" doc:"PEM file of the cluster's authorities"`
	Certificate string      `yaml:"certificate" doc:"PEM file of this program's certificate"`
	Key         string      `yaml:"key" doc:"PEM file of its key"`
	Credentials string      `yaml:"credentials" doc:"NATS credentials file"`
	Replicas    int         `yaml:"replicas" doc:"copies of the stream in a cluster"`
	Disk        config.Size `yaml:"disk" doc:"disk space for events that are not stored yet"`
}

func defaultUpConfig() *upConfig {
	c := &upConfig{Data: datafolder.Default, Listen: "127.0.0.1:8443"}
	c.Sensor = sensorConfig{KeyWait: sensor.DefaultKeyWait, Memory: sensor.DefaultHeldBytes, Ring: 32 << 20}
	c.Probe.Filter.Mode, c.Probe.Budget = filter.Everything, governor.DefaultConfig(governor.InContainer())
	c.Gateway = inline.DefaultConfig()
	c.Gateway.Hashed = config.Size(parse.DefaultLimits.Hashed)
	c.Retention = retentionConfig{Days: 30, Disk: 50 << 30}
	c.Packets = packetsConfig{Days: 7, Before: 10 << 30, After: 5 << 30}
	c.Store.Memory = 1536 << 20
	c.Bus.Replicas, c.Bus.Disk = 3, 2<<30
	return c
}

// Validate checks what no part checks by itself.
func (c *upConfig) Validate() error {
	if c.Data == "" {
		return errors.New("data must name a folder")
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return fmt.Errorf("listen must be address:port: %w", err)
	}
	if c.Retention.Days < 1 || c.Packets.Days < 1 {
		return errors.New("retention.days and packets.days must be at least 1")
	}
	for name, s := range map[string]struct{ got, least config.Size }{
		"retention.disk": {c.Retention.Disk, 1 << 30},
		"packets.before": {c.Packets.Before, 16 << 20},
		"packets.after":  {c.Packets.After, 16 << 20},
		"store.memory":   {c.Store.Memory, 512 << 20},
		"bus.disk":       {c.Bus.Disk, 64 << 20},
		"sensor.memory":  {c.Sensor.Memory, 1 << 20},
		"sensor.ring":    {c.Sensor.Ring, 1 << 20},
	} {
		if s.got < s.least {
			return fmt.Errorf("%s is %s and must be at least %s", name, s.got, s.least)
		}
	}
	if _, err := filter.Compile(c.Probe.Filter); err != nil {
		return fmt.Errorf("probe.filter: %w", err)
	}
	if err := c.Probe.Budget.Validate(); err != nil {
		return fmt.Errorf("probe.budget: %w", err)
	}
	if err := c.Gateway.Validate(); c.Gateway.On && err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	if c.Sensor.KeyWait <= 0 {
		return errors.New("sensor.key_wait must be more than 0")
	}
	return nil
}

// path returns the path of something in the data folder.
func (c *upConfig) path(name ...string) string {
	return filepath.Join(append([]string{c.Data}, name...)...)
}

func (c *upConfig) store() store.Config {
	return store.Config{
		URL:       c.Store.URL,
		Embedded:  store.Embedded{Dir: c.path("store"), Memory: int64(c.Store.Memory)},
		Retention: store.Retention{MaxAge: time.Duration(c.Retention.Days) * day, MaxBytes: int64(c.Retention.Disk)},
	}
}

func (c *upConfig) bus() bus.Config {
	cfg := bus.DefaultConfig(c.path("bus"))
	cfg.MaxBytes = int64(c.Bus.Disk)
	cfg.External = bus.External{
		URL: c.Bus.URL, CA: c.Bus.CA, Certificate: c.Bus.Certificate, Key: c.Bus.Key, Credentials: c.Bus.Credentials, Replicas: c.Bus.Replicas,
	}
	return cfg
}

func (c *upConfig) packets(form string, disk config.Size) blob.Config {
	return blob.Config{Dir: c.path("packets", form), MaxBytes: int64(disk), MaxAge: time.Duration(c.Packets.Days) * day}
}
