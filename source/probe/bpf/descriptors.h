// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Which socket a descriptor is, on kernels that do not describe their types: a read of a TCP socket passes the tracepoint
// tcp_rcv_space_adjust, which names the socket and its addresses, and the syscall around it names the descriptor. No TLS connection says
// anything before its handshake was read.
#pragma once

#ifdef LEGACY

// layout says where that tracepoint's fields are, which differs between kernels: the agent reads it in tracefs.
struct layout {
	u32 local_port, remote_port, local, remote;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct layout);
} layouts SEC(".maps");

// Descriptors that threads are reading from, -1 outside of such syscalls.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u64); // pid_tgid
	__type(value, s32);
} reads SEC(".maps");

struct descriptor {
	u32 process;
	s32 fd;
};

// The sockets of descriptors that were read from, until those are closed.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, struct descriptor);
	__type(value, u64);
} descriptors SEC(".maps");

struct addresses {
	u16 local_port, remote_port; // of the host's byte order
	u8 local[16], remote[16];    // IPv4 ones are mapped into IPv6
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, u64); // address of the socket
	__type(value, struct addresses);
} sockets SEC(".maps");

// read_begins notes the descriptor that a syscall reads from. Entries stay, as each thread that reads once does so again.
static __always_inline void read_begins(u64 thread, s32 fd)
{
	s32 *reading = bpf_map_lookup_elem(&reads, &thread);

	if (reading)
		*reading = fd;
	else
		bpf_map_update_elem(&reads, &thread, &fd, BPF_ANY);
}

// read_ends makes sure that reads in other ways are not taken for those of the descriptor.
static __always_inline void read_ends(u64 thread)
{
	s32 *reading = bpf_map_lookup_elem(&reads, &thread);

	if (reading)
		*reading = -1;
}

// note_addresses copies them out of the tracepoint's record. The masks are for the kernel's verifier, which wants bounds.
static __always_inline int note_addresses(void *record, u64 socket)
{
	u32 zero = 0;
	struct layout *at = bpf_map_lookup_elem(&layouts, &zero);
	struct addresses *a = bpf_map_lookup_elem(&sockets, &socket), none = {};

	if (!a) {
		bpf_map_update_elem(&sockets, &socket, &none, BPF_NOEXIST);
		a = bpf_map_lookup_elem(&sockets, &socket);
	}
	if (!a || !at)
		return -1;
	bpf_probe_read(&a->local_port, sizeof(a->local_port), record + (at->local_port & 0xff));
	bpf_probe_read(&a->remote_port, sizeof(a->remote_port), record + (at->remote_port & 0xff));
	bpf_probe_read(a->local, sizeof(a->local), record + (at->local & 0xff));
	bpf_probe_read(a->remote, sizeof(a->remote), record + (at->remote & 0xff));
	return 0;
}

struct received {
	u64 common;
	u64 socket; // its address in the kernel
};

// include/trace/events/tcp.h: the thread has copied bytes out of a socket.
SEC("tracepoint/tcp/tcp_rcv_space_adjust")
int received(struct received *ctx)
{
	u64 thread = bpf_get_current_pid_tgid(), socket = ctx->socket, *known;
	struct descriptor key = {.process = thread >> 32};
	s32 *reading = bpf_map_lookup_elem(&reads, &thread);
	struct call *call;

	if (!reading || *reading < 0 || note_addresses(ctx, socket))
		return 0;
	key.fd = *reading;
	known = bpf_map_lookup_elem(&descriptors, &key);
	if (known)
		*known = socket;
	else
		bpf_map_update_elem(&descriptors, &key, &socket, BPF_ANY);
	call = bpf_map_lookup_elem(&calls, &thread);
	if (call && !(call->flags & CALL_KNOWN)) {
		call->socket = socket;
		call->fd = key.fd;
		call->flags &= ~CALL_ARRIVED;
	}
	return 0;
}

// A descriptor that is closed may be another socket's soon. struct syscall_enter of system.h has the same layout.
struct closing {
	u64 common;
	long number;
	u64 fd;
};

SEC("tracepoint/syscalls/sys_enter_close")
int enter_close(struct closing *ctx)
{
	struct descriptor key = {.process = bpf_get_current_pid_tgid() >> 32, .fd = ctx->fd};

	bpf_map_delete_elem(&descriptors, &key);
	return 0;
}

#endif
