// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// What the programs remember. Everything has a bound; what does not fit is counted.
#pragma once

// What the agent thinks of a process. A process without an entry is taken: its first bytes must not wait for the agent.
enum verdict {
	UNDECIDED = 0,
	TAKE = 1,
	DROP = 2,
	ASK = 3, // it depends on the connection: some are in muted
};

// process is what is known of a process.
struct process {
	u32 verdict;
	u32 memory_bio; // it moves its ciphertext itself: TLS calls without syscalls inside were seen
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u32); // tgid
	__type(value, struct process);
} processes SEC(".maps");

// path is that of a program, cut off where it is longer.
struct path {
	char text[128];
};

// What processes were made to run last, for the agent if they end before it looks.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u32); // tgid
	__type(value, struct path);
} executed SEC(".maps");

// call is a TLS call that a thread is in.
struct call {
	u64 handle; // SSL *, gnutls_session_t, PRFileDesc * or *tls.Conn; 0: the thread is in none now
	u64 buffer;
	u64 done;   // address of the number of bytes, 0 if that is the result; of the next piece, if the plaintext is in pieces
	u64 stack;  // pointer at the entry
	u64 socket; // that a syscall within the call used, 0 if none did yet
	u64 sent;   // of the result so far
	u64 result;
	s32 fd;
	u16 depth;  // TLS calls inside this one, which are not followed
	u8 direction, flags;
	u32 runs; // of the program that tells it
	u32 rest; // of the result, in pieces that come after this one
};

enum call_flags {
	CALL_WINDOW = 1,  // moves no plaintext
	CALL_KNOWN = 2,   // the handle has its socket
	CALL_ARRIVED = 4, // socket is where the thread read last, before the call
	CALL_FILE = 8,    // the plaintext is in a file
	CALL_ASK = 16,    // the filter decides by connection
	CALL_PACKET = 32, // the plaintext is in a packet of the library
};

// A thread that has made a call keeps its entry for the next one until it ends.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, u64); // pid_tgid
	__type(value, struct call);
} calls SEC(".maps");

// call_of returns the call that the thread is in, or 0.
static __always_inline struct call *call_of(u64 thread)
{
	struct call *call = bpf_map_lookup_elem(&calls, &thread);

	return call && call->handle ? call : 0;
}

// go_buffer is where a goroutine reads to.
struct go_buffer {
	u64 g;
	u64 process;
	u64 buffer; // on the goroutine's stack: its distance to the upper end
};

// The *tls.Conn that is read from. No call is inside another one that reads to the same buffer.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH); // a read that fails copies nothing
	__uint(max_entries, 65536);
	__type(key, struct go_buffer);
	__type(value, u64);
} go_reads SEC(".maps");

// Long writes, which take a program of their own.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, u64); // pid_tgid
	__type(value, struct call);
} go_writes SEC(".maps");

// A connection as its program knows it.
struct handle_key {
	u64 pointer;
	u64 process;
};

struct handle {
	u64 id;
	u64 socket;
	u64 position[2]; // of the next byte, by direction
	u32 hung_up;     // the socket was closed
	u32 unused;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, struct handle_key);
	__type(value, struct handle);
} handles SEC(".maps");

// Which handle owns a socket. A process of a fork may own it too: the last one counts.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, u64); // address of the socket
	__type(value, struct handle_key);
} owners SEC(".maps");

// Which side of their connections sockets are, as far as those were seen to begin and their ports do not tell: enum role.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, u64);
	__type(value, u8);
} roles SEC(".maps");

// Connections that a filter leaves out, by the handle's id.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, u64);
	__type(value, u8);
} muted SEC(".maps");

// reading is a syscall that reads, outside of any TLS call.
struct reading {
	u64 buffer;
	u64 vector; // 1: buffer is the address of an iovec
	u64 fd;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u64); // pid_tgid
	__type(value, struct reading);
} readings SEC(".maps");

// Files that the agent has looked at, so that it is not told of each program that maps them.
struct file_key {
	u64 inode;
	u32 device, generation; // another one if the inode's number is used again
};

enum {
	FILE_PLAIN = 1, // nothing in it speaks TLS
	FILE_TLS = 2,
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct file_key);
	__type(value, u32);
} files SEC(".maps");

// Files whose code threads are about to map.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, u64); // pid_tgid
	__type(value, struct file_key);
} mappings SEC(".maps");

// arrival is a socket that a thread has just read TLS records from.
struct arrival {
	u64 socket;
	s64 fd;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u64); // pid_tgid
	__type(value, struct arrival);
} arrivals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LOSSES);
	__type(key, u32);
	__type(value, u64);
} losses SEC(".maps");

static __always_inline void lose(u32 reason, u64 n)
{
	u64 *count = bpf_map_lookup_elem(&losses, &reason);

	if (count)
		*count += n;
}
