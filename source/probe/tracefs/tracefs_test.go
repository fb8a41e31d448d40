package tracefs

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// format is what Linux 6.18 says of tcp_rcv_space_adjust.
const format = "name: tcp_rcv_space_adjust\nID: 2277\nformat:\n" +
	"\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n" +
	"\tfield:const void * skaddr;\toffset:8;\tsize:8;\tsigned:0;\n" +
	"\tfield:__u16 sport;\toffset:16;\tsize:2;\tsigned:0;\n" +
	"\tfield:__u8 saddr[4];\toffset:22;\tsize:4;\tsigned:0;\n" +
	"\tfield:__u8 saddr_v6[16];\toffset:30;\tsize:16;\tsigned:0;\n\n" +
	"print fmt: \"sport=%hu\", REC->sport\n"

func TestOffsets(t *testing.T) {
	got, err := offsets(strings.NewReader(format), []string{"saddr_v6", "sport", "skaddr", "saddr"})
	if diff := cmp.Diff([]uint32{30, 16, 8, 22}, got); err != nil || diff != "" {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
	if got, err := offsets(strings.NewReader(format), []string{"sport", "dport"}); err == nil {
		t.Errorf("a field that is not there is at %v", got)
	}
}

// TestOffsetsOfThisKernel asks for the fields by which programs for old kernels find addresses.
func TestOffsetsOfThisKernel(t *testing.T) {
	var got []uint32
	err := With(func() (err error) {
		got, err = Offsets("tcp/tcp_rcv_space_adjust", "skaddr", "sport", "dport", "saddr_v6", "daddr_v6")
		return err
	})
	testkit.SkipIfNotSupported(t, err)
	if err != nil {
		t.Fatal(err)
	}
	if got[0] != 8 || got[2] != got[1]+2 || got[4] != got[3]+16 {
		t.Errorf("fields are at %v", got)
	}
}
