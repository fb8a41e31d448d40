package hooks

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Pieces of wrappers, as GCC makes them.
const (
	head     = "48 83 ec 18 ; sub rsp, 0x18\n 85 d2 ; test edx, edx\n 78 00 ; js +0\n"
	tail     = "85 c0 ; test eax, eax\n 7e 00 ; jle +0\n 48 83 c4 18 ; add rsp, 0x18\n c3 ; ret\n"
	plain    = head + "48 89 e1 ; mov rcx, rsp\n 48 63 d2 ; movsxd rdx, edx\n e8 6d 00 00 00 ; call the inner function\n" + tail
	flagged  = head + "31 c9 ; xor ecx, ecx\n 89 d2 ; mov edx, edx\n 49 89 e0 ; mov r8, rsp\n e8 6c 00 00 00 ; call the inner function\n" + tail
	extended = "48 83 ec 08 ; sub rsp, 8\n e8 37 00 00 00 ; call the inner function\n" + tail
	jump     = "e9 3b 00 00 00 ; jmp to the inner function\n"
	shifted  = "49 89 c8 ; mov r8, rcx\n 31 c9 ; xor ecx, ecx\n e9 36 00 00 00 ; jmp to the inner function\n"
	other    = "48 89 f2 ; mov rdx, rsi\n e9 38 00 00 00 ; jmp to the inner function\n"
	forward  = "e9 7b 00 00 00 ; jmp from the first function to the inner one\n"
)

func TestInnerFunction(t *testing.T) {
	at := func(offset uint64) []uint64 { return []uint64{codeOffset + offset} }
	const plainAt, extendedAt, innerAt = 0, 0x40, 0x80
	plainHook := func(p Program, symbol string) Hook {
		return Hook{p, symbol, codeOffset + plainAt, at(plainAt), true}
	}
	extendedHook := func(p Program, symbol string) Hook {
		return Hook{p, symbol, codeOffset + extendedAt, at(extendedAt), true}
	}
	inner := func(p Program, symbol string) Hook { return Hook{p, symbol, codeOffset + innerAt, at(innerAt), true} }
	for name, test := range map[string]struct {
		first, second string // functions, and where they are
		plain, other  string // their machine code
		want          []Hook
	}{
		"read":           {"SSL_read", "SSL_read_ex", plain, extended, []Hook{inner(ReadEx, "SSL_read/SSL_read_ex")}},
		"read, by jump":  {"SSL_read", "SSL_read_ex", plain, jump, []Hook{inner(ReadEx, "SSL_read/SSL_read_ex")}},
		"write":          {"SSL_write", "SSL_write_ex", plain, extended, []Hook{inner(WriteEx, "SSL_write/SSL_write_ex")}},
		"write, flags":   {"SSL_write", "SSL_write_ex", flagged, shifted, []Hook{inner(WriteEx2, "SSL_write/SSL_write_ex")}},
		"write_ex2":      {"SSL_write", "SSL_write_ex2", flagged, extended, []Hook{inner(WriteEx2, "SSL_write/SSL_write_ex2")}},
		"peek":           {"SSL_peek", "SSL_peek_ex", plain, extended, []Hook{inner(Window, "SSL_peek/SSL_peek_ex")}},
		"shapes differ":  {"SSL_write", "SSL_write_ex", flagged, extended, []Hook{plainHook(Write, "SSL_write"), extendedHook(WriteEx, "SSL_write_ex")}},
		"read has flags": {"SSL_read", "SSL_read_ex", flagged, shifted, []Hook{plainHook(Read, "SSL_read"), extendedHook(ReadEx, "SSL_read_ex")}},
		"other arguments": {"SSL_read", "SSL_read_ex", plain, other,
			[]Hook{plainHook(Read, "SSL_read"), extendedHook(ReadEx, "SSL_read_ex")}},
		"another function": {"SSL_read", "SSL_read_ex", plain, strings.Replace(jump, "3b", "3c", 1),
			[]Hook{plainHook(Read, "SSL_read"), extendedHook(ReadEx, "SSL_read_ex")}},
		"one of them only":  {"SSL_read", "SSL_free", plain, jump, []Hook{plainHook(Read, "SSL_read"), {Program: Free, Symbol: "SSL_free", Enter: codeOffset + extendedAt}}},
		"no plain one":      {"SSL_write_ex", "SSL_write_ex2", forward, extended, []Hook{plainHook(WriteEx, "SSL_write_ex"), extendedHook(WriteEx2, "SSL_write_ex2")}},
		"one calls another": {"SSL_write_ex", "SSL_write_ex2", jump, extended, []Hook{extendedHook(WriteEx2, "SSL_write_ex2")}},
	} {
		t.Run(name, func(t *testing.T) {
			code := make([]byte, innerAt+2)
			first, second := machineCode(t, test.plain), machineCode(t, test.other)
			copy(code[plainAt:], first)
			copy(code[extendedAt:], second)
			copy(code[innerAt:], []byte{0x53, 0xc3}) // push rbx; ret
			functions := []testFunction{{test.first, plainAt, len(first)}, {test.second, extendedAt, len(second)}}
			if !strings.HasPrefix(test.first, "SSL_read") && !strings.HasPrefix(test.first, "SSL_write") {
				functions = append(functions, testFunction{"SSL_read_early_data", innerAt + 1, 1}) // a library has some data
				test.want = append([]Hook{{ReadEx, "SSL_read_early_data", codeOffset + innerAt + 1, at(innerAt + 1), true}}, test.want...)
			}
			got, err := testFile{code: code, functions: functions}.find(t, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]Library{{Name: "openssl", Hooks: test.want}}, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
