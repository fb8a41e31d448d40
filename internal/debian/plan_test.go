package debian

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParsePlan(t *testing.T) {
	got := parsePlan([]byte(`NOTE: This is only a simulation!
Inst zlib1g (1:1.2.13.dfsg-1 Debian:12.11/stable [amd64])
Inst libc6 (2.36-9+deb12u10 Debian:12.11/stable [amd64]) []
Conf zlib1g (1:1.2.13.dfsg-1 Debian:12.11/stable [amd64])
`))
	want := []Package{{"zlib1g", "1:1.2.13.dfsg-1"}, {"libc6", "2.36-9+deb12u10"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
