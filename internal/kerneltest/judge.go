package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// eveEvent is what of an EVE line is judged.
type eveEvent struct {
	Type     string `json:"event_type"`
	SrcIP    string `json:"src_ip"`
	SrcPort  int    `json:"src_port"`
	DestIP   string `json:"dest_ip"`
	DestPort int    `json:"dest_port"`
	HTTP     *struct {
		URL    string `json:"url"`
		Method string `json:"http_method"`
		Status int    `json:"status"`
		Length int64  `json:"length"`
	} `json:"http"`
	Vitrine struct {
		Decrypted string `json:"decrypted"`
		Source    string `json:"decrypt_source"`
		Process   struct {
			PID int    `json:"pid"`
			Exe string `json:"exe"`
		} `json:"process"`
	} `json:"vitrine"`
}

// verdict is what a run of the probe on a kernel was like.
type verdict struct {
	kernel   string // the release that booted
	run      string
	features abilities
	ready    float64 // seconds until the probe watched
	stopping float64 // seconds until it had ended
	log      []string
	trouble  []error // of the run as a whole
	results  []error // of each exchange, in their order, if clients ran; nil is good
}

func (v *verdict) good() bool { return errors.Join(append(v.results, v.trouble...)...) == nil }

// judge looks at the reports of a machine, for one run of its plan.
func judge(run string, reports []report) *verdict {
	v := &verdict{run: run}
	clients := map[string]report{}
	var events []eveEvent
	stopped := false
	for _, r := range reports {
		if r.Run != "" && r.Run != run {
			continue
		}
		switch r.Kind {
		case reportKernel:
			v.kernel = r.Text
		case reportFeatures:
			v.features = *r.Features
		case reportReady:
			v.ready = r.Seconds
		case reportClient:
			clients[r.Name] = r
		case reportEvent:
			var e eveEvent
			if err := json.Unmarshal(r.Event, &e); err != nil {
				v.trouble = append(v.trouble, fmt.Errorf("not an event: %s", r.Event))
			}
			events = append(events, e)
		case reportStopped:
			stopped, v.stopping = true, r.Seconds
			if r.Status != 0 {
				v.trouble = append(v.trouble, fmt.Errorf("the probe ended with status %d: %s", r.Status, strings.Join(v.log, "; ")))
			}
		case reportLog:
			v.log = append(v.log, r.Text)
		case reportFailed:
			v.trouble = append(v.trouble, errors.New(r.Text))
		}
	}
	if v.ready == 0 {
		v.trouble = append(v.trouble, errors.New("the probe never watched"))
	}
	if !stopped {
		v.trouble = append(v.trouble, errors.New("the probe was not stopped"))
	}
	if len(clients) == 0 {
		return v
	}
	for i := range exchanges {
		v.results = append(v.results, exchanges[i].check(clients[exchanges[i].Name], events))
	}
	return v
}

// check says what is wrong with an exchange: with the client itself, which the probe must not disturb, or with its events.
func (x *exchange) check(client report, events []eveEvent) error {
	if client.Kind == "" {
		return errors.New("the client did not run")
	}
	if client.Status != 0 {
		return fmt.Errorf("the client failed: %s", client.Text)
	}
	atClient, err := x.find(x.client, client.PID, events)
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	if x.client == x.server {
		events = without(events, client.PID)
	}
	atServer, err := x.find(x.server, 0, events)
	switch {
	case err != nil:
		return fmt.Errorf("server: %w", err)
	case atClient.SrcPort != atServer.SrcPort:
		return fmt.Errorf("the client's port is %d at the client and %d at the server", atClient.SrcPort, atServer.SrcPort)
	}
	seen := fmt.Sprint(atClient.SrcIP, " ", atClient.SrcPort)
	if x.echoes && strings.TrimSpace(client.Output) != seen {
		return fmt.Errorf("the server answers to %q, the event has %s", client.Output, seen)
	}
	return nil
}

func without(events []eveEvent, pid int) (others []eveEvent) {
	for _, e := range events {
		if e.Vitrine.Process.PID != pid {
			others = append(others, e)
		}
	}
	return others
}

// find returns the one transaction of the exchange that was seen in a process, if it is as it should be. Any process of the
// executable will do if pid is 0.
func (x *exchange) find(exe string, pid int, events []eveEvent) (found *eveEvent, err error) {
	for i := range events {
		e := &events[i]
		if e.Type != "http" || e.HTTP == nil || e.HTTP.URL != x.path || e.Vitrine.Process.Exe != exe || pid != 0 && e.Vitrine.Process.PID != pid {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("two transactions of %s with %s", exe, x.path)
		}
		found = e
	}
	if found == nil {
		return nil, fmt.Errorf("no transaction of %s with %s", exe, x.path)
	}
	switch {
	case found.HTTP.Method != "GET" || found.HTTP.Status != 200:
		return nil, fmt.Errorf("%s is %s with status %d", x.path, found.HTTP.Method, found.HTTP.Status)
	case x.size >= 0 && found.HTTP.Length != x.size:
		return nil, fmt.Errorf("%s has %d bytes, want %d", x.path, found.HTTP.Length, x.size)
	case found.SrcPort == 0 && found.DestPort == 0:
		return nil, fmt.Errorf("%s has no addresses", x.path)
	case found.SrcIP != x.address || found.DestIP != x.address || found.DestPort != x.port:
		return nil, fmt.Errorf("%s is from %s port %d to %s port %d, want to %s port %d", x.path, found.SrcIP, found.SrcPort, found.DestIP, found.DestPort, x.address, x.port)
	case found.Vitrine.Decrypted != "yes" || found.Vitrine.Source != "probe":
		return nil, fmt.Errorf("%s is decrypted %q by %q", x.path, found.Vitrine.Decrypted, found.Vitrine.Source)
	}
	return found, nil
}
