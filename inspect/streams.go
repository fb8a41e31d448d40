package inspect

import (
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/source"
)

type streams struct{ client interface{ Release() []byte } }

func (s *streams) begin(h *event.HTTP)            {}
func (s *streams) hold(h *event.HTTP, on bool)    {}
func (s *streams) dropped(h *event.HTTP) bool     { return false }
func (s *streams) drop(h *event.HTTP, b *blocked) {}

func (l *line) toServer2(b []byte) source.Edit               { return source.Edit{Forward: b} }
func (l *line) toClient2(at time.Time, b []byte) source.Edit { return source.Edit{Forward: b} }
