package assembly

import (
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
