package gateways

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/vitrine-ndr/vitrine/detect"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
	"github.com/vitrine-ndr/vitrine/state"
)

// Book is what people have decided about the gateway. It lies in the state, but for what opens the keys of authorities, which lies in a
// file beside it: neither is of use without the other. It is safe for concurrent use.
type Book struct {
	db      *state.DB
	secret  authority.Passphrase
	modules []string // PKCS#11 modules that may be loaded

	mu     sync.Mutex
	opened map[state.GatewayAuthority]*authority.Authority // opening a key is slow on purpose
	judge  struct {                                        // made of the latest rules about requests
		text   string
		engine *detect.Engine
	}
}

// keyFile is what opens the keys of authorities.
const keyFile = "gateway.key"

// OpenBook opens the book whose state and secret are in the folder. It makes the secret if there is none. Keys may lie in tokens that
// are reached by one of the PKCS#11 modules.
func OpenBook(db *state.DB, dir string, modules []string) (*Book, error) {
	path := filepath.Join(dir, keyFile)
	secret, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		secret = []byte(rand.Text() + rand.Text())
		err = writeNew(path, secret)
	}
	if err != nil {
		return nil, fmt.Errorf("open what seals the keys of authorities: %w", err)
	}
	if secret = bytes.TrimSpace(secret); len(secret) == 0 {
		return nil, fmt.Errorf("%s is empty: bring it back from a backup, or delete it and import the authorities anew", path)
	}
	return &Book{db: db, secret: secret, modules: modules, opened: map[state.GatewayAuthority]*authority.Authority{}}, nil
}

// writeNew writes a secret and makes sure that it is there after a crash.
func writeNew(path string, secret []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(secret)
	return errors.Join(err, f.Sync(), f.Close())
}

// Rules are all that is in the book about connections, whether it can be in force or not.
type Rules struct {
	Policies   []policy.Policy
	Exceptions []Exception
	Requests   string // the file of rules by which requests are judged; empty: there is none
}

// Exception is a rule that blocks or bypasses.
type Exception struct {
	policy.Exception
	Kind string `json:"kind"`
}

// The kinds of exceptions.
const (
	kindBlock  = "block"
	kindBypass = "bypass"
)

func (r Rules) clone() Rules {
	return Rules{slices.Clone(r.Policies), slices.Clone(r.Exceptions), r.Requests}
}

// all are the rules in the form that the gateway knows.
func (r Rules) all() policy.Rules {
	out := policy.Rules{Policies: r.Policies}
	for _, e := range r.Exceptions {
		if e.Kind == kindBlock {
			out.Block = append(out.Block, e.Exception)
		} else {
			out.Bypass = append(out.Bypass, e.Exception)
		}
	}
	return out
}

// Rules reads the rules.
func (b *Book) Rules(ctx context.Context) (r Rules, err error) {
	if r.Policies, err = read[policy.Policy](ctx, b.db, state.PolicyRule); err != nil {
		return r, err
	}
	if r.Exceptions, err = read[Exception](ctx, b.db, state.ExceptionRule); err != nil {
		return r, err
	}
	if r.Requests, err = b.db.Setting(ctx, requestsSetting); errors.Is(err, state.ErrNotFound) {
		err = nil
	}
	return r, err
}

func read[T any](ctx context.Context, db *state.DB, kind state.RuleKind) ([]T, error) {
	rows, err := db.GatewayRules(ctx, kind)
	if err != nil {
		return nil, err
	}
	out := make([]T, len(rows))
	for i, row := range rows {
		if err := json.Unmarshal([]byte(row.Body), &out[i]); err != nil {
			return nil, fmt.Errorf("read %s %q: %w", kind, row.ID, err)
		}
	}
	return out, nil
}

// save returns what keeps a rule.
func (b *Book) save(kind state.RuleKind, id string, rule any) (keep func(context.Context) error, err error) {
	body, err := json.Marshal(rule)
	if err != nil {
		return nil, fmt.Errorf("write %s %q: %w", kind, id, err)
	}
	return func(ctx context.Context) error {
		return b.db.SaveGatewayRule(ctx, state.GatewayRule{Kind: kind, ID: id, Body: string(body)})
	}, nil
}

// Orders are what the gateway is to follow.
type Orders struct {
	Rules       policy.Rules
	Authorities map[string]*authority.Authority // by name: those of enabled policies, and perhaps others
	First       *authority.Authority            // that can sign: for clients that are to be told something under no policy; nil: there is none
	Engine      *detect.Engine                  // by which requests are judged; nil: by none
	Faults      []string                        // why some policies are disabled in Rules that are not in the book
}

// Orders makes orders of rules: policies whose authority cannot sign are not in force.
func (b *Book) Orders(ctx context.Context, r Rules, now time.Time) (Orders, error) {
	stored, err := b.db.GatewayAuthorities(ctx)
	if err != nil {
		return Orders{}, err
	}
	o := Orders{Rules: r.clone().all(), Authorities: map[string]*authority.Authority{}}
	if r.Requests != "" {
		if o.Engine, err = b.engine(r.Requests); err != nil {
			return Orders{}, fmt.Errorf("read the rules about requests: %w", err)
		}
	}
	why := map[string]error{}
	for _, s := range stored {
		o.Authorities[s.Name], why[s.Name] = b.open(s, now)
		if o.First == nil {
			o.First = o.Authorities[s.Name]
		}
	}
	for i := range o.Rules.Policies {
		p := &o.Rules.Policies[i]
		if p.Disabled || o.Authorities[p.Authority] != nil {
			continue
		}
		p.Disabled = true
		o.Faults = append(o.Faults, fmt.Sprintf("policy %s has no authority that can sign: %s", p.ID, reason(p.Authority, why[p.Authority])))
	}
	return o, nil
}

func reason(name string, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case name == "":
		return "it names none"
	}
	return fmt.Sprintf("there is none of the name %q", name)
}

// engine returns the same one as long as the rules are the same.
func (b *Book) engine(text string) (*detect.Engine, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.judge.engine == nil || b.judge.text != text {
		e, err := detect.Parse([]byte(text))
		if err != nil {
			return nil, err
		}
		b.judge.text, b.judge.engine = text, e
	}
	return b.judge.engine, nil
}

// Current are the orders of what is in the book now.
func (b *Book) Current(ctx context.Context, now time.Time) (Orders, error) {
	r, err := b.Rules(ctx)
	if err != nil {
		return Orders{}, err
	}
	return b.Orders(ctx, r, now)
}

// newFault returns one that was not known.
func newFault(known, faults []string) string {
	for _, f := range faults {
		if !slices.Contains(known, f) {
			return f
		}
	}
	return ""
}

// open returns an authority that may sign at the time.
func (b *Book) open(s state.GatewayAuthority, now time.Time) (*authority.Authority, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a := b.opened[s]; a != nil && now.Before(a.Expires()) {
		return a, nil
	}
	a, err := authority.Unseal([]byte(s.Certificates), []byte(s.SealedKey), b.secret, b.modules, now)
	if err != nil {
		return nil, err
	}
	b.opened[s] = a
	return a, nil
}

// add keeps an authority, its key sealed, or where that is.
func (b *Book) add(ctx context.Context, name string, a *authority.Authority, now time.Time) error {
	key, err := a.Sealed(b.secret)
	if err != nil {
		return err
	}
	var text []byte
	for _, c := range a.Chain() {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return b.db.AddGatewayAuthority(ctx, state.GatewayAuthority{Name: name, Certificates: string(text), SealedKey: string(key), Created: now})
}
