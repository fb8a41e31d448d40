// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Go's crypto/tls. A goroutine, not a thread, is in a call: it may be continued by another thread, on a stack that was moved. A write
// is told when it begins, and a read when its result is copied: where they return would cost much more.
#pragma once

// The first words of runtime.g: the bounds of its stack.
struct go_stack {
	u64 low, high;
};

// go_restarts tells whether the function is about to get a larger stack, and to begin again. The program is at the branch behind the
// comparison that every Go function begins with: jbe, or b.ls.
static __always_inline int go_restarts(struct pt_regs *ctx)
{
#if defined(__TARGET_ARCH_x86)
	return ctx->flags & (1 | 1 << 6); // carry, zero
#else
	return !(ctx->pstate & 1 << 29) || ctx->pstate & 1 << 30; // carry, zero
#endif
}

// go_socket follows tls.Conn.conn, an interface: its second word points to a net.TCPConn, whose first word points to a netFD, whose
// poll.FD holds the descriptor behind two words of locks. A struct that wraps a net.Conn has that interface at its beginning, as a rule.
// Whatever it is, it counts only if it is the descriptor of a stream socket. between is set if the way leads over the tls.Conn that is
// asked for: the connection is TLS inside TLS.
static __always_inline u64 go_socket(u64 conn, s32 *fd, u64 asked, int *between)
{
	u64 data = conn;

#pragma unroll
	for (int i = 0; i < 3; i++) {
		u64 net_fd = 0, socket;
		s64 number = -1;

		if (read_user(&data, sizeof(data), (void *)(data + 8)) || read_user(&net_fd, sizeof(net_fd), (void *)data))
			return 0;
		if (data == asked)
			*between = 1;
		if (read_user(&number, sizeof(number), (void *)(net_fd + 16)) || number < 0 || number > 1 << 20)
			continue;
		socket = socket_of(number);
		if (socket) {
			*fd = number;
			return socket;
		}
	}
	return 0;
}

// go_reading names what a goroutine reads into. A stack moves when it grows, and what lies on it keeps its distance to the upper end.
static __always_inline int go_reading(struct pt_regs *ctx, struct go_buffer *b, u64 buffer)
{
	struct go_stack stack;

	b->g = GO_G(ctx);
	b->process = bpf_get_current_pid_tgid() >> 32;
	b->buffer = buffer;
	if (read_user(&stack, sizeof(stack), (void *)b->g))
		return -1;
	if (buffer >= stack.low && buffer < stack.high)
		b->buffer -= stack.high;
	return 0;
}

// go_begin is the entry of Read: what comes is known when it is copied into the buffer.
static __always_inline int go_begin(struct pt_regs *ctx)
{
	struct go_buffer b = {};
	u64 conn = GO_ARG1(ctx);

	if (go_restarts(ctx) || go_reading(ctx, &b, GO_ARG2(ctx)) || !process_of(b.process))
		return 0;
	if (bpf_map_update_elem(&go_reads, &b, &conn, BPF_ANY))
		lose(LOSS_CALLS, 1);
	return 0;
}

// go_carries tells whether the connection only carries another one's records, which speaks TLS inside it: the socket is the other one's.
static __always_inline int go_carries(const struct handle_key *key, u64 socket)
{
	struct handle_key *owner = bpf_map_lookup_elem(&owners, &socket);
	int between = 0;
	s32 fd;

	if (!owner || owner->process != key->process || owner->pointer == key->pointer)
		return 0;
	go_socket(owner->pointer, &fd, key->pointer, &between);
	return between;
}

// go_tell tells what a connection moves. It returns 1 if another program is to tell it, being long.
static __always_inline int go_tell(struct pt_regs *ctx, u64 conn, u8 direction, u64 buffer, u64 n)
{
	u64 thread = bpf_get_current_pid_tgid(), socket;
	struct handle_key key = {.pointer = conn, .process = thread >> 32};
	struct call call = {.handle = conn, .buffer = buffer, .result = n, .direction = direction};
	struct process *process = process_of(key.process);
	struct handle *h;
	int between;
	s32 fd = -1;

	if (!process || n == 0 || n > MOST)
		return 0;
	if (process->verdict == ASK)
		call.flags |= CALL_ASK;
	h = handle_of(&key);
	if (!h)
		return 0;
	// Not every program closes its tls.Conn, whose memory may be that of another one by now: so look each time.
	socket = go_socket(conn, &fd, 0, &between);
	if (socket) {
		if (go_carries(&key, socket))
			return 0;
		tie(ctx, h, &key, socket, fd);
	}
	if (n > CHUNK)
		return !bpf_map_update_elem(&go_writes, &thread, &call, BPF_ANY);
	tell_short(ctx, &call, &key, h, buffer);
	return 0;
}

// go_write is the entry of Write. What it will write is told at once: before it returns, another goroutine may have read the answer. That a
// write fails is not known by then; nothing follows it on its connection.
static __always_inline int go_write(struct pt_regs *ctx)
{
	return go_restarts(ctx) ? 0 : go_tell(ctx, GO_ARG1(ctx), OUT, GO_ARG2(ctx), GO_ARG3(ctx));
}

// go_copied is where Read copies plaintext into its caller's buffer: memmove(to, from, n).
static __always_inline int go_copied(struct pt_regs *ctx)
{
	struct go_buffer b = {};
	u64 *found, conn;

	if (GO_ARG3(ctx) > CHUNK || go_reading(ctx, &b, GO_ARG1(ctx))) // a TLS record is shorter
		return 0;
	found = bpf_map_lookup_elem(&go_reads, &b);
	if (!found)
		return 0;
	conn = *found;
	bpf_map_delete_elem(&go_reads, &b);
	go_tell(ctx, conn, IN, GO_ARG2(ctx), GO_ARG3(ctx));
	return 0;
}

// go_long tells a long write.
static __always_inline int go_long(struct pt_regs *ctx)
{
	u64 thread = bpf_get_current_pid_tgid();
	struct call *call = bpf_map_lookup_elem(&go_writes, &thread);
	struct handle_key key = {.process = thread >> 32};
	struct handle *h;

	if (!call)
		return 0;
	key.pointer = call->handle;
	h = bpf_map_lookup_elem(&handles, &key);
	if (h && tell(ctx, call, &key, h, call->buffer))
		return 1;
	bpf_map_delete_elem(&go_writes, &thread);
	return 0;
}
