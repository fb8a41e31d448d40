package gobinary

import (
	"encoding/binary"
	"slices"
)

// Instructions of arm64, each 4 bytes: where one begins needs no decoding (and what golang.org/x/arch knows lacks the atomic ones
// that Go uses).
const (
	armSize  = 4
	armRET   = 0xd65f03c0
	armLDRG  = 0xf9400b90 // LDR X16, [X28, 16]: g.stackguard0
	armMOV   = 0x910003f1 // MOV X17, SP
	armSUB   = 0xd10003f1 // SUB X17, SP, #frame
	armCMPSP = 0xeb3063ff // CMP SP, X16
	armCMP   = 0xeb10023f // CMP X17, X16
	armBLS   = 0x54000009 // B.LS
	armBL    = 0b100101   // BL, in the upper 6 bits

	armImmediate = 0x7ffc00 // of SUB: 12 bits, and whether they are shifted by 12
	armDistance  = 0xffffe0 // of B.LS: 19 bits
)

// placesARM64 does for arm64 what placesAMD64 does.
func placesARM64(code []byte) (enter int, calls []call, err error) {
	words := make([]uint32, len(code)/armSize)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(code[armSize*i:])
	}
	for len(words) > 0 && words[len(words)-1] == 0 { // what fills the space between functions
		words = words[:len(words)-1]
	}
	check := stackCheckARM64(words)
	if check < 0 {
		return 0, nil, errNoStackCheck
	}
	var targets []int
	returns := 0
	for i, word := range words {
		if distance, ok := armBranch(word); ok {
			targets = append(targets, armSize*(i+distance))
		}
		if word>>26 == armBL {
			calls = append(calls, call{armSize * i, armSize * (i + armSigned(word, 0, 26))})
		}
		if word == armRET {
			returns++
		}
	}
	return armSize * check, calls, checkFlow(slices.Repeat([]bool{true}, len(words)), targets, returns, armSize)
}

// stackCheckARM64 returns the index of the branch that ends the stack check (cmd/internal/obj/arm64, stacksplit), or -1.
//
//	small frame   LDR X16, [X28, 16]; CMP SP, X16; B.LS   (before Go 1.19: MOV X17, SP; CMP X17, X16)
//	larger        LDR X16, [X28, 16]; SUB X17, SP, #frame; CMP X17, X16; B.LS
func stackCheckARM64(words []uint32) int {
	if len(words) < 4 || words[0] != armLDRG {
		return -1
	}
	at := 1
	if words[at] != armCMPSP {
		if words[at] != armMOV && words[at]&^armImmediate != armSUB || words[at+1] != armCMP {
			return -1
		}
		at++
	}
	if words[at+1]&^armDistance != armBLS {
		return -1
	}
	return at + 1
}

// armBranch returns how many instructions a branch skips: B, B.cond, CBZ, CBNZ, TBZ and TBNZ, but no call.
func armBranch(word uint32) (distance int, ok bool) {
	switch {
	case word>>26 == 0b000101: // B
		return armSigned(word, 0, 26), true
	case word>>24 == 0b01010100, word>>25&0x3f == 0b011010: // B.cond; CBZ, CBNZ
		return armSigned(word, 5, 19), true
	case word>>25&0x3f == 0b011011: // TBZ, TBNZ
		return armSigned(word, 5, 14), true
	}
	return 0, false
}

// armSigned reads a signed number out of an instruction.
func armSigned(word uint32, shift, bits int) int {
	return int(int32(word<<(32-shift-bits)) >> (32 - bits))
}
