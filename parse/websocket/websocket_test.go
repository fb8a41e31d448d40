package websocket

import (
	"testing"

	"github.com/vitrine-ndr/vitrine/parse/http1"
	"github.com/vitrine-ndr/vitrine/parse/parsetest"
)

func TestPlaybooks(t *testing.T) { parsetest.Run(t, "testdata", http1.Protocol, Protocol) }

func TestLosses(t *testing.T) { parsetest.Loss(t, "testdata", http1.Protocol, Protocol) }

func FuzzParse(f *testing.F) { parsetest.Fuzz(f, "testdata", http1.Protocol, Protocol) }
