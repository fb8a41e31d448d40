package assembly

import (
	"context"
	"log/slog"
	"time"

	"github.com/vitrine-ndr/vitrine/source/gateway/authority"
)

// Remind warns of an authority that should be replaced.
func Remind(log *slog.Logger, a *authority.Authority, now time.Time) {
	switch left := a.Expires().Sub(now); {
	case a.Trial():
		log.Warn("this authority is for trials only: replace it before others depend on it", "authority", a, "expires", a.Expires())
	case left < authority.Renewal:
		log.Warn("the authority expires in less than a year: let clients trust its successor in time", "authority", a, "expires", a.Expires())
	}
}

const (
	// identityRenewal is how long before its end an identity should be replaced.
	identityRenewal = 30 * 24 * time.Hour
	// reminded is how often the log reminds of it.
	reminded = 24 * time.Hour
)

// remind warns of identities that end soon or have ended, until ctx is done.
func (a *Assembly) remind(ctx context.Context) {
	tick := time.NewTicker(reminded)
	defer tick.Stop()
	for {
		for _, i := range a.own.All {
			if left := time.Until(i.Expires()); left < identityRenewal {
				a.log.Warn("an identity expires: from then on, it is not shown, and connections that need it are bypassed", "component", "gateway", "identity", i.ID, "subject", i.Subject(), "expires", i.Expires())
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
