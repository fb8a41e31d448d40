package origin

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"time"
)

// list is a certificate revocation list (RFC 5280 §5), as far as it is of use.
type list struct {
	seed    maphash.Seed
	serials []uint64 // hashes of the numbers of revoked certificates, in order
	point   distributionPoint
}

// distributionPoint says which certificates a list is about: all of the issuer's, if it is empty.
type distributionPoint struct {
	Point struct {
		Full     []asn1.RawValue  `asn1:"optional,tag:0"`
		Relative pkix.RDNSequence `asn1:"optional,tag:1"`
	} `asn1:"optional,tag:0"`
	OnlyServers    bool           `asn1:"optional,tag:1"`
	OnlyCAs        bool           `asn1:"optional,tag:2"`
	Reasons        asn1.BitString `asn1:"optional,tag:3"`
	Indirect       bool           `asn1:"optional,tag:4"`
	OnlyAttributes bool           `asn1:"optional,tag:5"`
}

var oidDistributionPoint = asn1.ObjectIdentifier{2, 5, 29, 28}

// parseList reads a list of the issuer's that is valid now. Those that say only part of the truth, such as what has changed, are refused.
func parseList(b []byte, issuer *x509.Certificate, now time.Time) (l *list, next time.Time, err error) {
	crl, err := x509.ParseRevocationList(b)
	if err != nil {
		return nil, next, err
	}
	if err := crl.CheckSignatureFrom(issuer); err != nil {
		return nil, next, err
	}
	if now.Add(skew).Before(crl.ThisUpdate) || !crl.NextUpdate.IsZero() && !now.Before(crl.NextUpdate) {
		return nil, next, errors.New("the list is not valid now")
	}
	l = &list{seed: maphash.MakeSeed(), serials: make([]uint64, 0, len(crl.RevokedCertificateEntries))}
	if err := l.extend(crl.Extensions); err != nil {
		return nil, next, err
	}
	for _, e := range crl.RevokedCertificateEntries {
		l.serials = append(l.serials, maphash.Bytes(l.seed, e.SerialNumber.Bytes()))
	}
	slices.Sort(l.serials)
	return l, crl.NextUpdate, nil
}

// extend reads what changes the meaning of the list.
func (l *list) extend(extensions []pkix.Extension) error {
	for _, e := range extensions {
		if e.Id.Equal(oidDistributionPoint) {
			if rest, err := asn1.Unmarshal(e.Value, &l.point); err != nil || len(rest) > 0 {
				return errors.New("the list's distribution point cannot be read")
			}
		} else if e.Critical {
			return fmt.Errorf("the list has the unknown extension %s", e.Id)
		}
	}
	if p := l.point; p.Indirect || p.OnlyAttributes || p.Reasons.BitLength > 0 || len(p.Point.Relative) > 0 {
		return errors.New("the list is about other certificates too, or about some reasons alone")
	}
	return nil
}

// covers tells whether the list, from the place, is the one about the certificate. An issuer may have several, and whoever is on the way
// may send another one.
func (l *list) covers(c *x509.Certificate, place string) bool {
	const uri = 6 // of a GeneralName
	p := l.point
	here := len(p.Point.Full) == 0 || slices.ContainsFunc(p.Point.Full, func(n asn1.RawValue) bool {
		return n.Class == asn1.ClassContextSpecific && n.Tag == uri && string(n.Bytes) == place
	})
	return here && (!p.OnlyServers || !c.IsCA) && (!p.OnlyCAs || c.IsCA)
}

func (l *list) status(c *x509.Certificate) status {
	if _, found := slices.BinarySearch(l.serials, maphash.Bytes(l.seed, c.SerialNumber.Bytes())); found {
		return revoked
	}
	return good
}
