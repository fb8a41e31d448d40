package trust

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// follower is a program that trusts what the system's store trusts, unless somebody has told it otherwise. Nothing is installed for it.
type follower struct {
	m       *Machine
	name    string
	program string
	absent  string
	restart string
	trusts  func(ctx context.Context, r Root) (bool, string, error)
}

func (f *follower) Name() string    { return f.name }
func (f *follower) Restart() string { return f.restart }
func (f *follower) Absent() string {
	if f.absent != "" {
		return f.absent
	}
	if _, err := f.m.Look(f.program); err != nil {
		return f.program + " is not installed"
	}
	return ""
}

func (f *follower) Trusts(ctx context.Context, r Root) (bool, string, error) { return f.trusts(ctx, r) }
func (f *follower) Install(context.Context, Root) error                      { return errFollows }
func (f *follower) Uninstall(context.Context, Root) error                    { return errFollows }

// followers lists the programs that are asked one by one, each in its own way.
func followers(m *Machine, s *system) []Store {
	all := []Store{
		&follower{m: m, name: "openssl", program: "openssl", trusts: m.opensslTrusts},
		&follower{m: m, name: "curl", program: "curl", trusts: m.curlTrusts},
		&follower{m: m, name: "git", program: "git", trusts: func(ctx context.Context, r Root) (bool, string, error) { return m.gitTrusts(ctx, s, r) }},
		&follower{m: m, name: "docker", program: "dockerd", absent: s.Absent(), restart: "restart the daemon: systemctl restart docker", trusts: s.Trusts},
	}
	if m.Self != "" {
		all = append(all, &follower{m: m, name: "go", program: m.Self, trusts: m.goTrusts})
	}
	return all
}

// opensslTrusts has OpenSSL verify the root by its default store: a root that is not in it does not vouch for itself.
func (m *Machine) opensslTrusts(ctx context.Context, r Root) (bool, string, error) {
	cmd := m.command(ctx, "openssl", "verify")
	cmd.Stdin = strings.NewReader(string(r.pem()))
	_, err := output(cmd)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() != 0 && strings.Contains(err.Error(), "lookup:") {
		return false, "openssl verify does not know it", nil
	}
	return err == nil, "openssl verify accepts it", err
}

// curlTrusts has curl connect to an impostor.
func (m *Machine) curlTrusts(ctx context.Context, r Root) (bool, string, error) {
	i, err := newImpostor(ctx, r)
	if err != nil {
		return false, "", err
	}
	defer i.Close()
	url := "https://127.0.0.1:" + i.port() + "/"
	out, err := output(m.command(ctx, "curl", "-sS", "--noproxy", "*", "--max-time", "10", "-o", "/dev/null", "-w", "%{ssl_verify_result}", url))
	return heard("curl", strings.TrimSpace(string(out)), strings.Contains(fmt.Sprint(err), "signature"), err)
}

// heard takes the verdict of a client of OpenSSL. Only if it found the certificate good does it look at the signature.
func heard(client, verdict string, signature bool, err error) (bool, string, error) {
	switch {
	case slices.Contains(strangers, verdict):
		return false, client + " connected to a server and did not know the issuer", nil
	case slices.Contains(known, verdict), signature && (verdict == "0" || verdict == "1"): // 1 is curl's for none
		return true, client + " connected to a server and knew the issuer", nil
	}
	return false, "", fmt.Errorf("%s does not say whether it knew the issuer (%s): %w", client, verdict, err)
}

// gitTrusts asks git for a bundle of its own. Without one it has that of its curl, which the distribution points to the system's.
func (m *Machine) gitTrusts(ctx context.Context, s *system, r Root) (bool, string, error) {
	cmd := m.command(ctx, "git", "config", "--get", "http.sslCAInfo")
	bundle := variable(cmd.Environ(), "GIT_SSL_CAINFO")
	if bundle == "" {
		out, _ := output(cmd) // it fails if there is none
		bundle = strings.TrimSpace(string(out))
	}
	if bundle != "" {
		in, detail, err := m.holds(bundle, r)
		return in, detail + ", which git is configured to use (http.sslCAInfo, GIT_SSL_CAINFO)", err
	}
	if why := s.Absent(); why != "" {
		return false, "", errors.New("tell which bundle git uses: the system's store was not found")
	}
	return s.Trusts(ctx, r)
}

// goTrusts asks Go's TLS in a process of its own: within a process, it reads its roots once.
func (m *Machine) goTrusts(ctx context.Context, r Root) (bool, string, error) {
	cmd := m.command(ctx, m.Self, "trust", "ask-go")
	cmd.Stdin = strings.NewReader(string(r.pem()))
	out, err := output(cmd)
	if err != nil {
		return false, "", err
	}
	answer := strings.TrimSpace(string(out))
	if answer == "" {
		return true, "crypto/x509 accepts it", nil
	}
	return false, answer, nil
}
