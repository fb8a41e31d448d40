package main

import "encoding/json"

// plan is what a guest does, as JSON in its initramfs. The guest only carries it out; the host knows what must come of it.
type plan struct {
	Seed    []byte    `json:"seed"` // randomness for a machine that has no other source
	Servers []command `json:"servers"`
	Clients []command `json:"clients"`
	Runs    []run     `json:"runs"`
}

// command is a program in the guest.
type command struct {
	Name  string   `json:"name"`
	Args  []string `json:"args"`
	Stdin string   `json:"stdin,omitempty"`
	// Listens is the address at which a server can be reached once it is ready.
	Listens string `json:"listens,omitempty"`
}

// run is one start of the probe, during which all clients run in turn.
type run struct {
	Name  string   `json:"name"`
	Probe []string `json:"probe"`
}

// Kinds of report.
const (
	reportKernel   = "kernel"    // Text is the release of the kernel that runs
	reportFeatures = "features"  // Features is what the kernel offers, found out without the probe's help
	reportReady    = "ready"     // Seconds from the start of the probe until it watched
	reportClient   = "client"    // a client ended: Name, PID, Status, Output
	reportEvent    = "event"     // Event is a line that the probe wrote
	reportLog      = "log"       // Text is a line of the probe's log
	reportStopped  = "stopped"   // the probe ended: Status, Seconds it took
	reportFailed   = "failed"    // the guest can't go on: Text says why
	reportEnd      = "plan done" // nothing comes after it
)

// report is one line from guest to host.
type report struct {
	Kind     string          `json:"kind"`
	Run      string          `json:"run,omitempty"`
	Name     string          `json:"name,omitempty"`
	Text     string          `json:"text,omitempty"`
	PID      int             `json:"pid,omitempty"`
	Status   int             `json:"status,omitempty"`
	Seconds  float64         `json:"seconds,omitempty"`
	Output   string          `json:"output,omitempty"`
	Event    json.RawMessage `json:"event,omitempty"`
	Features *abilities      `json:"features,omitempty"`
}

// abilities are what decides which of the probe's ways a kernel takes.
type abilities struct {
	RingBuffer  bool `json:"ring_buffer"`  // since 5.8; else perf buffers
	UprobeMulti bool `json:"uprobe_multi"` // since 6.6; else a uprobe at a time
	BTF         bool `json:"btf"`          // the kernel describes its types
}

// exchange is a client that talks to a server, and what the probe must see of it, at both ends.
type exchange struct {
	command
	client, server string // executables
	address        string // the server's IP address
	port           int
	path           string
	size           int64 // of the response's body; -1 if it is the server's to choose
	echoes         bool  // the body is the client's address and port, as the server sees them
}

const (
	nginxPort, opensslPort, goPort, gnutlsPort = 8443, 8444, 8445, 8446

	self       = "/init" // this program, in the guest
	agent      = "/vitrine-agent"
	largeBytes = 1 << 20
)

var servers = []command{
	{Name: "nginx", Args: []string{"/usr/sbin/nginx", "-c", "/test/nginx.conf"}, Listens: "127.0.0.1:8443"},
	{Name: "openssl", Args: []string{"/usr/bin/openssl", "s_server", "-quiet", "-www", "-accept", "8444", "-cert", "/test/cert.pem", "-key", "/test/key.pem"}, Listens: "127.0.0.1:8444"},
	{Name: "go", Args: []string{self, "serve", "127.0.0.1:8445"}, Listens: "127.0.0.1:8445"},
	{Name: "gnutls", Args: []string{"/usr/bin/gnutls-serv", "--http", "--port", "8446", "--x509certfile", "/test/cert.pem", "--x509keyfile", "/test/key.pem"}, Listens: "127.0.0.1:8446"},
}

const nginxConf = `
daemon off;
worker_processes 1;
error_log stderr warn;
events { worker_connections 64; }
http {
	access_log off;
	server {
		listen 127.0.0.1:8443 ssl http2;
		listen [::1]:8443 ssl http2;
		ssl_certificate /test/cert.pem;
		ssl_certificate_key /test/key.pem;
		location / { return 200 "$remote_addr $remote_port"; }
		location = /large { root /test; }
	}
}
`

const pythonClient = `
import ssl, sys, urllib.request
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
print(len(urllib.request.urlopen(sys.argv[1], context=context).read()))
`

// exchanges are the clients of every run: each TLS library as client and as server, HTTP/1.1 and HTTP/2, IPv4 and IPv6.
var exchanges = []exchange{
	curl("curl", "127.0.0.1", "/curl", "--http1.1"),
	curl("curl-h2", "127.0.0.1", "/curl-h2", "--http2"),
	curl("curl-ipv6", "::1", "/curl-ipv6", "--http1.1"),
	{
		command: command{Name: "curl-1MiB", Args: []string{"/usr/bin/curl", "-sSk", "--http1.1", "-o", "/dev/null", "https://127.0.0.1:8443/large"}},
		client:  "/usr/bin/curl", server: "/usr/sbin/nginx", address: "127.0.0.1", port: nginxPort, path: "/large", size: largeBytes,
	},
	{
		command: command{Name: "s_client", Args: []string{"/usr/bin/openssl", "s_client", "-quiet", "-connect", "127.0.0.1:8443"},
			Stdin: "GET /s_client HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"},
		client: "/usr/bin/openssl", server: "/usr/sbin/nginx", address: "127.0.0.1", port: nginxPort, path: "/s_client", size: -1,
	},
	{
		command: command{Name: "python", Args: []string{"/usr/bin/python3.11", "-c", pythonClient, "https://127.0.0.1:8444/python"}},
		client:  "/usr/bin/python3.11", server: "/usr/bin/openssl", address: "127.0.0.1", port: opensslPort, path: "/python", size: -1,
	},
	{
		command: command{Name: "wget", Args: []string{"/usr/bin/wget", "-qO-", "--no-check-certificate", "https://127.0.0.1:8446/wget"}},
		client:  "/usr/bin/wget", server: "/usr/bin/gnutls-serv", address: "127.0.0.1", port: gnutlsPort, path: "/wget", size: -1,
	},
	{
		command: command{Name: "go", Args: []string{self, "get", "https://127.0.0.1:8445/go"}},
		client:  self, server: self, address: "127.0.0.1", port: goPort, path: "/go", size: -1, echoes: true,
	},
}

func curl(name, address, path, version string) exchange {
	host := address
	if host == "::1" {
		host = "[::1]"
	}
	return exchange{
		command: command{Name: name, Args: []string{"/usr/bin/curl", "-sSk", version, "https://" + host + ":8443" + path}},
		client:  "/usr/bin/curl", server: "/usr/sbin/nginx", address: address, port: nginxPort, path: path, size: -1, echoes: true,
	}
}

func clients() []command {
	commands := make([]command, len(exchanges))
	for i, e := range exchanges {
		commands[i] = e.command
	}
	return commands
}
