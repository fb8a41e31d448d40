package gateways

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/vitrine-ndr/vitrine/internal/trust"
	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
	"github.com/vitrine-ndr/vitrine/state"
)

type nameInput struct {
	Name string `path:"name" maxLength:"64" doc:"Name of the authority"`
}

type downloadInput struct {
	Name   string `path:"name" maxLength:"64" doc:"Name of the authority"`
	Format string `query:"format" enum:"crt,chain,p7b,jks" default:"crt" doc:"crt: the root in PEM; chain: all certificates in PEM; p7b: all of them in PKCS#7; jks: a trust store for Java with the root, whose password is changeit"`
}

func (g *Gateways) registerAuthorities(a huma.API) {
	const path = "/api/v1/gateway/authorities"
	op := g.site.Operation
	register(g, a, op("list-gateway-authorities", http.MethodGet, path, false, "List authorities",
		"Returns the authorities that sign for the gateway, the oldest first."), g.listAuthorities)
	register(g, a, op("import-gateway-authority", http.MethodPost, path, true, "Import an authority",
		"Takes certificates and key in PEM or PKCS#12, or certificates and where the key lies in a PKCS#11 token. What clients would not accept is refused with the reason: weak keys, other curves than P-256 and P-384, SM algorithms, "+
			"what is no authority, keys that do not belong to it, what has expired. The key is sealed, and never shown again.",
		http.StatusConflict, http.StatusUnprocessableEntity), g.importAuthority)
	register(g, a, op("make-gateway-trial", http.MethodPost, path+"/trial", true, "Make a trial authority",
		"Makes an authority for a trial, which says so in its name and is valid for 90 days. This is possible once.", http.StatusConflict, http.StatusUnprocessableEntity), g.makeTrial)
	register(g, a, op("delete-gateway-authority", http.MethodDelete, path+"/{name}", true, "Delete an authority",
		"Forgets the authority and its key. One that policies use stays.", http.StatusNotFound, http.StatusConflict), g.deleteAuthority)
	download := op("get-gateway-certificate", http.MethodGet, path+"/{name}/certificate", false, "Download a certificate",
		"Returns the certificates of an authority in a form for clients. The key is in none of them.", http.StatusNotFound)
	download.Responses = map[string]*huma.Response{"200": {
		Description: "The certificates", Content: map[string]*huma.MediaType{"application/octet-stream": {Schema: &huma.Schema{Type: huma.TypeString}}},
	}}
	register(g, a, download, g.download)
}

func (g *Gateways) listAuthorities(ctx context.Context, _ *nothing) (*output[api.Authorities], error) {
	all, err := g.authorities(ctx)
	return answer(api.Authorities{Authorities: all}), err
}

func (g *Gateways) authorities(ctx context.Context) ([]api.Authority, error) {
	stored, err := g.book.db.GatewayAuthorities(ctx)
	if err != nil {
		return nil, err
	}
	r, err := g.book.Rules(ctx)
	if err != nil {
		return nil, err
	}
	out := []api.Authority{}
	for _, s := range stored {
		a, err := describe(s, r.Policies, time.Now())
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// describe tells what people want to know of an authority.
func describe(s state.GatewayAuthority, policies []policy.Policy, now time.Time) (api.Authority, error) {
	chain, err := chainOf(s)
	if err != nil {
		return api.Authority{}, err
	}
	signing, root := chain[0], chain[len(chain)-1]
	sum := sha256.Sum256(root.Raw)
	out := api.Authority{
		Name: s.Name, Subject: signing.Subject.String(), Issuer: signing.Issuer.String(), Trial: authority.IsTrial(root), NotBefore: signing.NotBefore,
		KeyType: keyType(signing), Fingerprint: hex.EncodeToString(sum[:]), ChainLength: len(chain), UsedBy: []string{},
	}
	out.NotAfter = slices.MinFunc(chain, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) }).NotAfter
	out.Reminder = reminder(out.NotAfter.Sub(now))
	for _, p := range policies {
		if p.Authority == s.Name {
			out.UsedBy = append(out.UsedBy, p.ID)
		}
	}
	return out, nil
}

func chainOf(s state.GatewayAuthority) ([]*x509.Certificate, error) {
	chain, err := authority.ParseCertificates([]byte(s.Certificates))
	if err == nil && len(chain) == 0 {
		err = errors.New("no certificate")
	}
	if err != nil {
		return nil, fmt.Errorf("read authority %q: %w", s.Name, err)
	}
	return chain, nil
}

func keyType(c *x509.Certificate) string {
	switch k := c.PublicKey.(type) {
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Curve.Params().Name
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", k.N.BitLen())
	}
	return c.PublicKeyAlgorithm.String()
}

// urgent is how long before its end an authority must be replaced at last.
const urgent = 30 * 24 * time.Hour

func reminder(left time.Duration) string {
	switch {
	case left <= 0:
		return "expired"
	case left < urgent:
		return "below_30_days"
	case left < authority.Renewal:
		return "below_one_year"
	}
	return "none"
}

func (g *Gateways) importAuthority(ctx context.Context, in *input[api.NewAuthority]) (*output[api.Authority], error) {
	b := &in.Body
	var a *authority.Authority
	var err error
	switch {
	case len(b.PKCS12) > 0:
		a, err = authority.FromPKCS12(b.PKCS12, authority.Passphrase(b.Passphrase), time.Now())
	case b.KeyURI != "":
		a, err = authority.FromToken([]byte(b.PEM), b.KeyURI, g.book.modules, time.Now())
	default:
		a, err = authority.FromPEM([]byte(b.PEM), []byte(b.KeyPEM), authority.Passphrase(b.Passphrase), time.Now())
	}
	if err != nil {
		return nil, huma.Error422UnprocessableEntity("The authority was not taken: " + err.Error() + ".")
	}
	defer a.Close() // the book opens it anew
	return g.add(ctx, "authority.import", b.Name, a)
}

// trialSetting remembers when a trial authority was made, also once it is deleted.
const trialSetting = "gateway.trial"

func (g *Gateways) makeTrial(ctx context.Context, in *input[api.NewTrial]) (*output[api.Authority], error) {
	g.trial.Lock() // made once, also for two who ask at the same time
	defer g.trial.Unlock()
	if _, err := g.book.db.Setting(ctx, trialSetting); err == nil {
		return nil, huma.Error409Conflict("A trial authority was made already: that is possible once. Import an authority of your own.")
	} else if !errors.Is(err, state.ErrNotFound) {
		return nil, err
	}
	host, _ := os.Hostname() // an authority without it is one all the same
	a, _, err := authority.NewTrial(host, time.Now())
	if err != nil {
		return nil, err
	}
	out, err := g.add(ctx, "authority.trial", cmp.Or(in.Body.Name, "trial"), a)
	if err != nil {
		return nil, err
	}
	return out, g.book.db.SetSetting(ctx, trialSetting, time.Now().UTC().Format(time.RFC3339))
}

var authorityNames = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func (g *Gateways) add(ctx context.Context, action, name string, a *authority.Authority) (*output[api.Authority], error) {
	if !authorityNames.MatchString(name) {
		return nil, huma.Error422UnprocessableEntity("The name can't be like this: it must have letters, digits, dots, dashes and underscores, and begin with a letter or digit.",
			&huma.ErrorDetail{Message: "letters, digits, dots, dashes and underscores", Location: "body.name"})
	}
	summary := fmt.Sprintf("%s, valid until %s", a, a.Expires().Format(time.DateOnly))
	_, err := g.take(ctx, &step{action: action, object: name, summary: summary, edit: func(*Rules) (func(context.Context) error, error) {
		stored, err := g.book.db.GatewayAuthorities(ctx)
		if err == nil && find(stored, name) >= 0 {
			err = huma.Error409Conflict("There is an authority of this name already. Choose another name.")
		}
		return func(ctx context.Context) error { return g.book.add(ctx, name, a, time.Now()) }, err
	}})
	if err != nil {
		return nil, err
	}
	s, err := g.stored(ctx, name)
	if err != nil {
		return nil, err
	}
	out, err := describe(s, nil, time.Now())
	return answer(out), err
}

func find(stored []state.GatewayAuthority, name string) int {
	return slices.IndexFunc(stored, func(s state.GatewayAuthority) bool { return s.Name == name })
}

// stored returns an authority, or state.ErrNotFound.
func (g *Gateways) stored(ctx context.Context, name string) (state.GatewayAuthority, error) {
	all, err := g.book.db.GatewayAuthorities(ctx)
	if err != nil {
		return state.GatewayAuthority{}, err
	}
	if i := find(all, name); i >= 0 {
		return all[i], nil
	}
	return state.GatewayAuthority{}, state.ErrNotFound
}

func (g *Gateways) deleteAuthority(ctx context.Context, in *nameInput) (*nothing, error) {
	_, err := g.take(ctx, &step{action: "authority.delete", object: in.Name, edit: func(r *Rules) (func(context.Context) error, error) {
		if _, err := g.stored(ctx, in.Name); err != nil {
			return nil, err
		}
		for _, p := range r.Policies {
			if p.Authority == in.Name {
				return nil, huma.Error409Conflict("The policy " + p.ID + " uses this authority. Choose another one there first.")
			}
		}
		return func(ctx context.Context) error { return g.book.db.DeleteGatewayAuthority(ctx, in.Name) }, nil
	}})
	return &nothing{}, err
}

func (g *Gateways) download(ctx context.Context, in *downloadInput) (*huma.StreamResponse, error) {
	s, err := g.stored(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	chain, err := chainOf(s)
	if err != nil {
		return nil, err
	}
	form := map[string]struct{ format, file, mediaType string }{
		"crt":   {"crt", ".crt", "application/x-x509-ca-cert"},
		"chain": {"chain", "-chain.pem", "application/x-pem-file"},
		"p7b":   {"pkcs7", ".p7b", "application/x-pkcs7-certificates"},
		"jks":   {"jks", ".jks", "application/octet-stream"},
	}[in.Format]
	text, err := trust.Print(trust.Printed{Chain: chain, Format: form.format})
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Type", form.mediaType)
		hc.SetHeader("Content-Disposition", fmt.Sprintf(`attachment; filename="vitrine-%s%s"`, s.Name, form.file))
		_, _ = hc.BodyWriter().Write(text) // the client has gone
	}}, nil
}
