// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Go's crypto/tls. A goroutine, not a thread, is in a call: it may be continued by another thread, on a stack that was moved.
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
// Whatever it is, it counts only if it is the descriptor of a stream socket.
static __always_inline u64 go_socket(u64 conn, s32 *fd)
{
	u64 data = conn;

#pragma unroll
	for (int i = 0; i < 3; i++) {
		u64 net_fd = 0, socket;
		s64 number = -1;

		if (read_user(&data, sizeof(data), (void *)(data + 8)) || read_user(&net_fd, sizeof(net_fd), (void *)data))
			return 0;
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

// go_tell_early tells a short write at its beginning: before it returns, another goroutine may have read the answer. That a write fails is
// not known by then; nothing follows it on its connection.
static __always_inline void go_tell_early(struct pt_regs *ctx, struct call *call, u64 length)
{
	struct handle_key key = {.pointer = call->handle, .process = bpf_get_current_pid_tgid() >> 32};
	struct record head = {.kind = KIND_DATA, .process = key.process, .direction = OUT};
	struct handle *h = handle_of(&key);
	s32 fd = -1;
	u64 socket;

	if (!h)
		return;
	socket = go_socket(call->handle, &fd);
	if (socket)
		tie(ctx, h, &key, socket, fd);
	call->flags |= CALL_TOLD;
	head.time = bpf_ktime_get_ns();
	head.handle = h->id;
	head.position[0] = h->position[OUT];
	head.position[1] = h->position[IN];
	h->position[OUT] += length;
	if (!(call->flags & CALL_ASK) || !bpf_map_lookup_elem(&muted, &head.handle))
		send_rest(ctx, &head, call->buffer, length);
}

static __always_inline int go_begin(struct pt_regs *ctx, u8 direction)
{
	u64 thread = bpf_get_current_pid_tgid();
	struct routine key = {.g = GO_G(ctx), .process = thread >> 32};
	struct process *process = process_of(key.process);
	struct call call = {.handle = GO_ARG1(ctx), .buffer = GO_ARG2(ctx), .fd = -1, .direction = direction};
	u64 length = GO_ARG3(ctx);
	struct go_stack stack;

	if (go_restarts(ctx))
		return 0;
	if (!process || read_user(&stack, sizeof(stack), (void *)key.g)) {
		bpf_map_delete_elem(&go_calls, &key); // one that never returned
		return 0;
	}
	if (process->verdict == ASK)
		call.flags |= CALL_ASK;
	call.stack = STACK(ctx) - stack.high;
	if (nested(bpf_map_lookup_elem(&go_calls, &key), call.stack))
		return 0;
	if (direction == OUT && length && length < CHUNK)
		go_tell_early(ctx, &call, length);
	if (call.buffer >= stack.low && call.buffer < stack.high) {
		call.buffer -= stack.high;
		call.flags |= CALL_STACK;
	}
	if (bpf_map_update_elem(&go_calls, &key, &call, BPF_ANY))
		lose(LOSS_CALLS, 1);
	return 0;
}

static __always_inline int go_finish(struct pt_regs *ctx)
{
	u64 thread = bpf_get_current_pid_tgid();
	struct routine key = {.g = GO_G(ctx), .process = thread >> 32};
	struct call *call = bpf_map_lookup_elem(&go_calls, &key);
	struct handle_key connection = {.process = key.process};
	u64 buffer;
	struct handle *h;
	s64 result = GO_RESULT(ctx);
	s32 fd = -1;

	if (!call)
		return 0;
	if (call->depth) {
		call->depth--;
		return 0;
	}
	connection.pointer = call->handle;
	if (call->flags & CALL_TOLD)
		goto end;
	if (call->result == 0 && (result <= 0 || result > MOST))
		goto end;
	h = handle_of(&connection);
	if (!h)
		goto end;
	if (!call->result) {
		// Not every program closes its tls.Conn, whose memory may be that of another one by now: so look each time.
		u64 socket = go_socket(call->handle, &fd);

		call->result = result;
		if (socket)
			tie(ctx, h, &connection, socket, fd);
	}
	buffer = call->buffer;
	if (call->flags & CALL_STACK) {
		struct go_stack stack;

		if (read_user(&stack, sizeof(stack), (void *)key.g))
			goto end;
		buffer += stack.high;
	}
	if (tell(ctx, call, &connection, h, buffer))
		return 1;
end:
	bpf_map_delete_elem(&go_calls, &key);
	return 0;
}
