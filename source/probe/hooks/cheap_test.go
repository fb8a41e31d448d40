package hooks

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// machineCode reads lines of "hexadecimal bytes ; what they mean".
func machineCode(t testing.TB, listing string) []byte {
	t.Helper()
	var code []byte
	for line := range strings.Lines(listing) {
		digits, _, _ := strings.Cut(line, ";")
		b, err := hex.DecodeString(strings.Join(strings.Fields(digits), ""))
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		code = append(code, b...)
	}
	return code
}

func TestCheap(t *testing.T) {
	const unknownSize = -1
	for name, test := range map[string]struct {
		listing    string
		size       int // 0 stands for all of it
		enter, top uint64
	}{
		"push": {`
			53           ; push rbx
			c3           ; ret`, 0, 0, 0},
		"push of r12": {`
			48 85 ff     ; test rdi, rdi
			41 54        ; push r12
			c3           ; ret`, 0, 3, 3},
		"endbr64": {`
			f3 0f 1e fa  ; endbr64
			53           ; push rbx
			c3           ; ret`, 0, 4, 4},
		"size not known, endbr64": {`
			f3 0f 1e fa  ; endbr64
			53           ; push rbx
			c3           ; ret`, unknownSize, 4, 4},
		"size not known": {`
			48 85 ff     ; test rdi, rdi
			53           ; push rbx
			c3           ; ret`, unknownSize, 0, 0},
		"size beyond the segment": {`
			48 85 ff     ; test rdi, rdi
			53           ; push rbx
			c3           ; ret`, 100, 0, 0},
		"SSL_read of OpenSSL 3.0": {`
			48 83 ec 18                 ; sub rsp, 0x18
			64 48 8b 04 25 28 00 00 00  ; mov rax, fs:[0x28]
			48 89 44 24 08              ; mov [rsp+8], rax
			31 c0                       ; xor eax, eax
			85 d2                       ; test edx, edx
			78 01                       ; js +1
			c3                          ; ret
			c3                          ; ret`, 0, 0x16, 0},
		"SSL_free": {`
			48 85 ff           ; test rdi, rdi
			0f 84 01 00 00 00  ; je +1
			53                 ; push rbx
			c3                 ; ret`, 0, 3, 3},
		"an argument is gone": {`
			48 89 f2  ; mov rdx, rsi
			53        ; push rbx
			c3        ; ret`, 0, 0, 3},
		"half of an argument is gone": {`
			89 f2  ; mov edx, esi
			53     ; push rbx
			c3     ; ret`, 0, 0, 2},
		"another register is written": {`
			4c 89 c1  ; mov rcx, r8
			53        ; push rbx
			c3        ; ret`, 0, 3, 3},
		"a call": {`
			48 83 ec 08     ; sub rsp, 8
			e8 01 00 00 00  ; call +1
			53              ; push rbx
			c3              ; ret`, 0, 0, 0},
		"the stack is as it was": {`
			48 83 ec 08     ; sub rsp, 8
			48 83 c4 08     ; add rsp, 8
			e9 00 10 00 00  ; jmp elsewhere`, 0, 8, 8},
		"the stack is somewhere": {`
			48 89 ec  ; mov rsp, rbp
			53        ; push rbx
			c3        ; ret`, 0, 0, 0},
		"a jump back to it": {`
			48 85 ff  ; test rdi, rdi
			74 02     ; je +2
			eb fc     ; jmp to the je
			c3        ; ret`, 0, 0, 0},
		"a jump back to the start": {`
			48 85 ff  ; test rdi, rdi
			74 02     ; je +2
			eb f9     ; jmp to the start
			c3        ; ret`, 0, 3, 3},
		"a nop that kernels refuse": {`
			66 90  ; xchg ax, ax
			53     ; push rbx
			c3     ; ret`, 0, 2, 2},
		"an indirect jump": {`
			48 8b 07  ; mov rax, [rdi]
			ff 60 10  ; jmp [rax+0x10]
			53        ; push rbx`, 0, 0, 0},
		"an unknown effect": {`
			0f a2  ; cpuid
			53     ; push rbx
			c3     ; ret`, 0, 0, 0},
		"no instruction": {`
			06  ; not in 64-bit mode
			53  ; push rbx`, 0, 0, 0},
		"not a whole instruction": {`
			48 85  ; test, cut off`, 0, 0, 0},
		"nothing cheap nearby": {strings.Repeat("48 85 ff\n", 40) + "53\nc3", 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			code := machineCode(t, test.listing)
			size := uint64(test.size)
			switch test.size {
			case 0:
				size = uint64(len(code))
			case unknownSize:
				size = 0
			}
			img := open(t, testFile{code: code})
			enter, top := img.body(function{addr: codeAddr, size: size}).cheap(Read.needs())
			if enter-codeAddr != test.enter || top-codeAddr != test.top {
				t.Errorf("enter at %#x, return probe at %#x; want %#x, %#x", enter-codeAddr, top-codeAddr, test.enter, test.top)
			}
		})
	}
}

func open(t testing.TB, f testFile) *image {
	t.Helper()
	b := f.bytes(t)
	img, err := openImage(strings.NewReader(string(b)), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestReturns(t *testing.T) {
	for name, test := range map[string]struct {
		listing string
		want    []uint64 // none: refused
	}{
		"one": {`
			53  ; push rbx
			5b  ; pop rbx
			c3  ; ret`, []uint64{2}},
		"several kinds": {`
			74 04     ; je +4
			f3 c3     ; rep ret
			cc        ; int3
			c3        ; ret
			c2 08 00  ; ret 8`, []uint64{2, 5, 6}},
		"never": {`
			e8 00 00 00 00  ; call
			0f 0b           ; ud2`, nil},
		"a jump to another function": {`
			74 01           ; je +1
			c3              ; ret
			e9 00 10 00 00  ; jmp elsewhere`, nil},
		"a jump on a condition to another function": {`
			0f 84 00 10 00 00  ; je elsewhere
			c3                 ; ret`, nil},
		"another function by address": {`
			74 01     ; je +1
			c3        ; ret
			48 8b 07  ; mov rax, [rdi]
			ff e0     ; jmp rax`, nil},
		"another function by method": {`
			c3        ; ret
			ff 60 10  ; jmp [rax+0x10]`, nil},
		"a switch": {`
			48 63 04 82  ; movsxd rax, [rdx+4*rax]
			48 01 d0     ; add rax, rdx
			48 89 fb     ; mov rbx, rdi
			3e ff e0     ; notrack jmp rax
			c3           ; ret`, []uint64{13}},
		"a switch by addresses": {`
			ff 24 c5 00 00 00 00  ; jmp [8*rax]
			c3                    ; ret`, []uint64{7}},
		"data between": {`
			c3  ; ret
			06  ; not an instruction`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			code := machineCode(t, test.listing)
			img := open(t, testFile{code: code})
			got, ok := img.body(function{addr: codeAddr, size: uint64(len(code))}).returns()
			if !ok {
				got = nil
			}
			for i := range got {
				got[i] -= codeAddr
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("returns at %#x, want %#x", got, test.want)
			}
			if _, ok := img.body(function{addr: codeAddr}).returns(); ok {
				t.Error("found the returns of a function whose end is not known")
			}
		})
	}
}

func TestHooksWithoutTrampolines(t *testing.T) {
	f := testFile{code: machineCode(t, `
		53     ; push rbx
		5b     ; pop rbx
		c3     ; ret
		c3     ; ret
		74 02  ; je +2
		53     ; push rbx
		c3     ; ret
		ff e0  ; jmp rax`)}
	f.functions = []testFunction{{"SSL_read", 0, 4}, {"SSL_do_handshake", 4, 6}}
	got, err := f.find(t, Options{NoTrampolines: true})
	want := []Library{{Name: "openssl", Hooks: []Hook{{Program: Read, Symbol: "SSL_read", Enter: codeOffset, Exit: []uint64{codeOffset + 2, codeOffset + 3}}}}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
	f.functions[1].name = "SSL_write"
	if got, err := f.find(t, Options{NoTrampolines: true}); got != nil || err == nil || !strings.Contains(err.Error(), "SSL_write") {
		t.Errorf("found %v, %v although the end of SSL_write can't be told", got, err)
	}
}
