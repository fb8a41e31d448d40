package origin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"golang.org/x/crypto/ocsp"
)

// status is what is known of a certificate.
type status int

const (
	unknown status = iota // nobody has told
	untold                // there is nobody who could tell
	good
	revoked
)

// revokedAsker asks who has issued certificates whether they are revoked.
type revokedAsker struct {
	fetcher   *fetcher
	responses cache[status]
	lists     cache[*list]
}

const (
	maxResponses = 8192
	maxResponse  = 32 << 10
	maxLists     = 32
	maxList      = 8 << 20
	skew         = 5 * time.Minute // by which the clock of who answers may be ahead
	maxAge       = 24 * time.Hour  // how long an answer counts that says that it is valid for longer, or does not say
)

func newRevoked(f *fetcher) *revokedAsker {
	return &revokedAsker{f, newCache[status](maxResponses), newCache[*list](maxLists)}
}

// status asks the responder of a certificate's issuer, or else looks into its lists.
func (r *revokedAsker) status(ctx context.Context, c, issuer *x509.Certificate, now time.Time) status {
	if len(c.OCSPServer)+len(c.CRLDistributionPoints) == 0 {
		return untold
	}
	for _, place := range c.OCSPServer[:min(maxPlaces, len(c.OCSPServer))] {
		if s, err := r.respond(ctx, place, c, issuer, now); err == nil && s != unknown {
			return s
		}
	}
	for _, place := range c.CRLDistributionPoints[:min(maxPlaces, len(c.CRLDistributionPoints))] {
		if l, err := r.list(ctx, place, issuer, now); err == nil && l.covers(c, place) {
			return l.status(c)
		}
	}
	return unknown
}

func (r *revokedAsker) respond(ctx context.Context, place string, c, issuer *x509.Certificate, now time.Time) (status, error) {
	key := sha256.Sum256(slices.Concat(issuer.RawSubjectPublicKeyInfo, c.Raw))
	return r.responses.get(ctx, place+string(key[:]), now, func(ctx context.Context) (status, time.Time, error) {
		question, err := ocsp.CreateRequest(c, issuer, nil)
		if err != nil {
			return unknown, time.Time{}, err
		}
		b, err := r.fetcher.get(ctx, place, question, maxResponse)
		if err != nil {
			return unknown, time.Time{}, err
		}
		answer, err := parseResponse(b, c, issuer, now)
		if err != nil {
			return unknown, time.Time{}, err
		}
		return statusOf(answer), until(answer.NextUpdate, now), nil
	})
}

// until is how long an answer counts.
func until(next, now time.Time) time.Time {
	if latest := now.Add(maxAge); next.IsZero() || next.After(latest) {
		return latest
	}
	return next
}

func statusOf(r *ocsp.Response) status {
	switch r.Status {
	case ocsp.Good:
		return good
	case ocsp.Revoked:
		return revoked
	}
	return unknown
}

// parseResponse returns an OCSP response about the certificate that is valid now and comes from who may say so: the issuer, or whom the issuer has
// certified for that (RFC 6960 §4.2.2.2). Any other certificate of the issuer's does not do.
func parseResponse(b []byte, c, issuer *x509.Certificate, now time.Time) (*ocsp.Response, error) {
	r, err := ocsp.ParseResponseForCert(b, c, issuer)
	if err != nil {
		return nil, err
	}
	by := r.Certificate
	switch {
	case now.Add(skew).Before(r.ThisUpdate) || !r.NextUpdate.IsZero() && !now.Before(r.NextUpdate):
		return nil, errors.New("the response is not valid now")
	case by == nil || bytes.Equal(by.Raw, issuer.Raw):
		return r, nil
	case !slices.Contains(by.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) || now.Before(by.NotBefore) || now.After(by.NotAfter):
		return nil, errors.New("the response is signed by who may not")
	}
	return r, nil
}

func (r *revokedAsker) list(ctx context.Context, place string, issuer *x509.Certificate, now time.Time) (*list, error) {
	key := sha256.Sum256(issuer.RawSubjectPublicKeyInfo)
	return r.lists.get(ctx, place+string(key[:]), now, func(ctx context.Context) (*list, time.Time, error) {
		b, err := r.fetcher.get(ctx, place, nil, maxList)
		if err != nil {
			return nil, time.Time{}, err
		}
		l, next, err := parseList(b, issuer, now)
		return l, until(next, now), err
	})
}
