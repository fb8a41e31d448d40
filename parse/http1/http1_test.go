package http1

import (
	"testing"

	"github.com/vitrine-ndr/vitrine/parse/parsetest"
)

func TestPlaybooks(t *testing.T) { parsetest.Run(t, "testdata", Protocol) }

func TestLosses(t *testing.T) { parsetest.Loss(t, "testdata", Protocol) }

func FuzzParse(f *testing.F) { parsetest.Fuzz(f, "testdata", Protocol) }
