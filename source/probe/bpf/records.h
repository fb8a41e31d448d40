// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// What the programs tell the agent. Package probe reads these layouts: source/probe/record.go.
#pragma once

enum kind {
	KIND_DATA = 1,    // plaintext follows
	KIND_GAP = 2,     // length bytes of plaintext that could not be sent
	KIND_TIE = 3,     // struct tie follows: the handle's socket
	KIND_FREE = 4,    // the handle has ended
	KIND_HANGUP = 5,  // the handle's socket was closed
	KIND_EXEC = 6,    // the process runs another program, whose file follows in position
	KIND_EXIT = 7,    // the process has ended
	KIND_MAPPED = 8,  // the process has mapped code of a file, which follows in position
};

enum direction {
	IN = 0,  // what the process reads
	OUT = 1, // what it writes
};

// record is the head of everything that is sent. 48 bytes.
struct record {
	u64 time;        // of CLOCK_MONOTONIC, ns
	u64 handle;      // unique name of a TLS handle, 0 for KIND_EXEC and the like
	u64 position[2]; // of the first byte that follows, and of the next one in the other direction: old kernels index no array of the stack
	u32 process;     // tgid, in the initial namespace
	u32 length;      // bytes of plaintext, or of a gap
	u8 kind, direction;
	u8 unused[6];
};

enum role {
	ROLE_UNKNOWN = 0,
	ROLE_CLIENT = 1, // the socket was seen to connect
	ROLE_SERVER = 2, // a connection was seen to come in
};

// tie names the socket of a handle. Without BTF only fd is known.
struct tie {
	u64 socket; // address in the kernel, a name only
	u32 netns;  // inode of the network namespace
	s32 fd;     // -1 if unknown
	u16 family; // 0 if the addresses are unknown
	u16 local_port, remote_port; // of the host's byte order
	u16 role;
	u8 local[16], remote[16]; // the first 4 bytes for AF_INET
	u32 user;
	u8 name[16]; // of the command, in case the process ends before the agent looks
	u32 unused;
};

struct tied {
	struct record head;
	struct tie tie;
};

// Why something was not told; the index of a counter.
enum loss {
	LOSS_FULL,     // bytes: the buffer to the agent was full
	LOSS_FAULT,    // bytes: the program's memory could not be read
	LOSS_LONG,     // bytes: one call moved more than is sent for a call
	LOSS_NOTICE,   // records without plaintext, the buffer being full
	LOSS_CALLS,    // calls not followed: too many at once
	LOSS_HANDLES,  // calls not followed: too many connections
	LOSS_FILE,     // bytes: sent from a file by the kernel
	LOSS_PACKET,   // bytes: in a structure of the library that is not laid out as it was
	LOSSES,
};
