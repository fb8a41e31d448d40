package template

import (
	"bytes"
	"testing"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse/parsetest"
)

func TestPlaybooks(t *testing.T) { parsetest.Run(t, "testdata", Protocol) }

func TestLosses(t *testing.T) { parsetest.Loss(t, "testdata", Protocol) }

func TestLinear(t *testing.T) {
	parsetest.Linear(t, Protocol, func(n int) []parsetest.Step {
		return parsetest.Steps(flow.ToClient, bytes.Repeat([]byte("Login: alice\r\n"), n/14))
	})
}

func FuzzParse(f *testing.F) { parsetest.Fuzz(f, "testdata", Protocol) }
