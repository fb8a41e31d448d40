package http2

import (
	"testing"

	"github.com/vitrine-ndr/vitrine/parse/parsetest"
)

func TestPlaybooks(t *testing.T) { parsetest.Run(t, "testdata", Protocol) }
func TestLoss(t *testing.T)      { parsetest.Loss(t, "testdata", Protocol) }
func FuzzHTTP2(f *testing.F)     { parsetest.Fuzz(f, "testdata", Protocol) }
