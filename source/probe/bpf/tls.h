// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// How TLS calls become records. A call is noted when a thread enters it, gets its socket from the syscalls inside it, and is told
// when it returns: only then is it known how many bytes it moved.
#pragma once

static __always_inline u64 unique(void)
{
	return bpf_ktime_get_ns() << 8 | (bpf_get_smp_processor_id() & 0xff);
}

// process_of returns what is known of the process, or 0 if it is to be left alone.
static __always_inline struct process *process_of(u32 process)
{
	struct process *p = bpf_map_lookup_elem(&processes, &process);

	if (!p) {
		struct process unknown = {};

		bpf_map_update_elem(&processes, &process, &unknown, BPF_NOEXIST);
		p = bpf_map_lookup_elem(&processes, &process);
	}
	return p && p->verdict != DROP ? p : 0;
}

// nested tells whether a call happens inside another one of the thread, and counts it there: what it moves is not plaintext of the
// program, or the outer call will tell it. A call that never returned is found by the stack, which has been unwound since.
// The stack grows down, so the inner call's is lower.
static __always_inline int nested(struct call *outer, u64 stack)
{
	if (!outer || !outer->handle || outer->stack <= stack)
		return 0;
	outer->depth++;
	return 1;
}

// begin notes a call that is not nested, in the thread's entry if it has one.
static __always_inline int begin(struct pt_regs *ctx, u64 thread, struct call *entry, u8 direction, u8 flags, u64 done)
{
	struct handle_key key = {.pointer = ARG1(ctx), .process = thread >> 32};
	struct call call = {.handle = key.pointer, .buffer = ARG2(ctx), .done = done, .stack = STACK(ctx), .fd = -1, .direction = direction,
		.flags = flags};
	struct process *process = process_of(key.process);
	struct handle *h;

	if (!process) {
		if (entry)
			entry->handle = 0;
		return 0;
	}
	if (process->verdict == ASK)
		call.flags |= CALL_ASK;
	h = bpf_map_lookup_elem(&handles, &key);
	if (h && h->socket && !h->hung_up && !by_descriptor(h->socket))
		call.flags |= CALL_KNOWN;
	// What arrived is taken by the next call that reads: of a program that moves its ciphertext itself, writes may be for any connection.
	if (process->memory_bio && direction == IN) {
		struct arrival *a = bpf_map_lookup_elem(&arrivals, &thread);

		if (a) {
			if (!(call.flags & CALL_KNOWN)) {
				call.socket = a->socket;
				call.fd = a->fd;
				call.flags |= CALL_ARRIVED;
			}
			bpf_map_delete_elem(&arrivals, &thread);
		}
	}
	if (entry)
		*entry = call;
	else if (bpf_map_update_elem(&calls, &thread, &call, BPF_ANY))
		lose(LOSS_CALLS, 1);
	return 0;
}

// enter is the entry of a function of a C library.
static __always_inline int enter(struct pt_regs *ctx, u8 direction, u8 flags, u64 done)
{
	u64 thread = bpf_get_current_pid_tgid();
	struct call *outer = bpf_map_lookup_elem(&calls, &thread);

	if (nested(outer, STACK(ctx)))
		return 0;
	return begin(ctx, thread, outer, direction, flags, done);
}

// nspr/prio.h
#define PR_DESC_LAYERED 4
#define PR_MSG_PEEK 2

// enter_nspr is enter for descriptors of any kind, of which only layered ones may be TLS: PRFileDesc begins with a pointer to its
// PRIOMethods, and that with the kind (nspr/prio.h).
static __always_inline int enter_nspr(struct pt_regs *ctx, u8 direction, u8 flags, u64 done)
{
	u64 thread = bpf_get_current_pid_tgid(), methods = 0;
	struct call *outer = bpf_map_lookup_elem(&calls, &thread);
	u32 kind = 0;

	if (nested(outer, STACK(ctx)))
		return 0;
	if (read_user(&methods, sizeof(methods), (void *)ARG1(ctx)) || read_user(&kind, sizeof(kind), (void *)methods) || kind != PR_DESC_LAYERED) {
		if (outer)
			outer->handle = 0;
		return 0;
	}
	return begin(ctx, thread, outer, direction, flags, done);
}

// handle_of returns the state of a connection, which begins with its first call.
static __always_inline struct handle *handle_of(const struct handle_key *key)
{
	struct handle *h = bpf_map_lookup_elem(&handles, key);

	if (!h) {
		struct handle fresh = {.id = unique()};

		bpf_map_update_elem(&handles, key, &fresh, BPF_NOEXIST);
		h = bpf_map_lookup_elem(&handles, key);
		if (!h)
			lose(LOSS_HANDLES, 1);
	}
	return h;
}

// ended tells that a connection has ended, and where.
static __always_inline void ended(void *ctx, struct handle *h, const struct handle_key *key)
{
	struct record head = {.kind = KIND_FREE, .process = key->process, .handle = h->id, .time = bpf_ktime_get_ns()};

	head.position[0] = h->position[IN];
	head.position[1] = h->position[OUT];
	if (plain_notice(ctx, &head, 0))
		lose(LOSS_NOTICE, 1);
}

// same_descriptor tells whether the socket of a connection is only named in another way than before. What was named by its descriptor
// was in use before the probe was, and is named as well as others once it is read from.
static __always_inline int same_descriptor(struct handle *h, const struct handle_key *key, u64 socket)
{
	if (!h->socket || h->hung_up || by_descriptor(h->socket) == by_descriptor(socket))
		return 0;
	if (by_descriptor(h->socket)) {
		h->socket = socket;
		bpf_map_update_elem(&owners, &socket, key, BPF_ANY);
	}
	return 1;
}

// tie tells the agent which socket a connection has. With another socket it is another connection: some programs use their TLS objects
// again, or the memory of one. A socket that was closed and is alive is another one too, at the same address.
static __always_inline void tie(void *ctx, struct handle *h, const struct handle_key *key, u64 socket, s32 fd)
{
	struct record head = {.kind = KIND_TIE, .process = key->process, .time = bpf_ktime_get_ns()};
	struct tie t = {.fd = fd};

	if (h->socket == socket && !(h->hung_up && alive(socket)))
		return;
	if (same_descriptor(h, key, socket))
		return;
	if (h->socket) {
		ended(ctx, h, key);
		h->id = unique();
		h->position[IN] = h->position[OUT] = 0;
		h->hung_up = 0;
	}
	describe(&t, socket);
	t.user = bpf_get_current_uid_gid();
	bpf_get_current_comm(t.name, sizeof(t.name));
	head.handle = h->id;
	if (notice(ctx, &head, &t)) {
		lose(LOSS_NOTICE, 1);
		return;
	}
	h->socket = socket;
	bpf_map_update_elem(&owners, &socket, key, BPF_ANY);
}

// omit counts n bytes of a call that are not sent, and tells of the gap.
static __always_inline void omit(void *ctx, struct record *head, u32 reason, u64 n)
{
	lose(reason, n);
	head->kind = KIND_GAP;
	head->length = n;
	if (plain_notice(ctx, head, 0))
		lose(LOSS_NOTICE, 1);
}

// position_of returns where the position of a direction is. Old kernels forget the bounds of a number that the compiler puts by, and don't
// know those of ^: they are made anew here.
static __always_inline u64 *position_of(struct handle *h, u64 direction)
{
	asm volatile("" : "+r"(direction));
	direction &= 1;
	return &h->position[direction];
}

// due fills in the head of what is left of a call's result, and returns how much that is: 0 if the filter leaves the connection out.
static __always_inline u64 due(struct call *call, const struct handle_key *key, struct handle *h, struct record *head)
{
	u64 left = call->result - call->sent;

	head->kind = KIND_DATA;
	head->process = key->process;
	head->direction = call->direction;
	head->handle = h->id;
	head->position[0] = *position_of(h, call->direction);
	head->position[1] = *position_of(h, call->direction ^ 1);
	if (call->flags & CALL_ASK && bpf_map_lookup_elem(&muted, &head->handle)) {
		*position_of(h, call->direction) += left;
		return 0;
	}
	head->time = bpf_ktime_get_ns();
	return left;
}

// shorten cuts off what there is no room for. It shows as a gap by the position of what comes next.
static __always_inline u64 shorten(u64 n)
{
	if (n <= HEAD || !crowded())
		return n;
	lose(LOSS_FULL, n - HEAD);
	return HEAD;
}

// tell_short is tell for a result of one record at most.
static __always_inline void tell_short(void *ctx, struct call *call, const struct handle_key *key, struct handle *h, u64 buffer)
{
	struct record head = {};
	u64 n = due(call, key, h, &head);

	if (n == 0 || n > CHUNK)
		return;
	*position_of(h, call->direction) += n;
	send_rest(ctx, &head, buffer, shorten(n));
}

// tell sends what is left of a call's result, in pieces. What can't be sent shows as a gap by the position of what comes next.
// It returns how much is left when one run of a program has sent as much as it may.
//
// The verifier of Linux 5.10 forgets most states of a loop, and follows what comes after each branch in it to the end. So a round has only
// one way on: a chunk that is lost ends the run. And what is left is read from memory, where it has no bounds that differ by round.
static __always_inline u64 tell(void *ctx, struct call *call, const struct handle_key *key, struct handle *h, u64 buffer)
{
	struct record head = {};
	u64 left = due(call, key, h, &head);

	if (left == 0)
		return 0;
	if (call->flags & CALL_FILE) {
		omit(ctx, &head, LOSS_FILE, left);
		*position_of(h, call->direction) += left;
		return 0;
	}
	if (shorten(left) < left) {
		send_rest(ctx, &head, buffer + call->sent, HEAD);
		*position_of(h, call->direction) += left;
		return 0;
	}
	unroll_in_old_kernels
	for (int i = 0; i < CHUNKS && call->result - call->sent >= CHUNK; i++) {
		int lost = send_full(ctx, &head, buffer + call->sent);

		call->sent += CHUNK;
		head.position[0] += CHUNK;
		if (lost)
			break;
	}
	left = call->result - call->sent;
	if (left && left < CHUNK) {
		send_rest(ctx, &head, buffer + call->sent, left);
		head.position[0] += left;
		call->sent += left;
		left = 0;
	}
	*position_of(h, call->direction) = head.position[0];
	if (left && ++call->runs == RUNS) {
		omit(ctx, &head, LOSS_LONG, left);
		*position_of(h, call->direction) += left;
		return 0;
	}
	return left;
}

// settle ties the connection of a call that has returned, if it was not before.
static __always_inline void settle(void *ctx, struct call *call, const struct handle_key *key, struct handle *h)
{
	if (call->flags & CALL_KNOWN)
		return;
	if (call->socket) {
		if (!(call->flags & CALL_ARRIVED) || !owned(call->socket, key))
			tie(ctx, h, key, call->socket, call->fd);
	} else if (!h->socket) {
		u32 process = key->process;
		struct process *p = bpf_map_lookup_elem(&processes, &process);

		if (p)
			p->memory_bio = 1;
	}
}

#define MOST 0x7fffffff // bytes of a call: a program may write any number where its library should

// finish is the return of a function of a C library. It returns 1 if the program is to run again to tell the rest.
static __always_inline int finish(struct pt_regs *ctx)
{
	u64 thread = bpf_get_current_pid_tgid(), n = 0;
	struct call *call = call_of(thread);
	struct handle_key key = {.process = thread >> 32};
	struct handle *h;
	s32 result = RESULT(ctx); // an int, or a length below 2 GiB

	if (!call)
		return 0;
	if (call->depth) {
		call->depth--;
		return 0;
	}
	if (result <= 0 && call->flags & CALL_KNOWN)
		goto end;
	key.pointer = call->handle;
	h = handle_of(&key);
	if (!h)
		goto end;
	if (!call->result) {
		if (result > 0 || !by_descriptor(call->socket))
			settle(ctx, call, &key, h);
		if (call->flags & CALL_WINDOW || result <= 0)
			goto end;
		call->result = result;
		if (call->done) {
			if (read_user(&n, sizeof(n), (void *)call->done) || n > MOST)
				goto end;
			call->result = n;
		}
	}
	if (tell(ctx, call, &key, h, call->buffer))
		return 1;
end:
	call->handle = 0;
	return 0;
}

// forget ends a connection.
static __always_inline int forget(void *ctx, u64 pointer)
{
	u64 thread = bpf_get_current_pid_tgid();
	struct handle_key key = {.pointer = pointer, .process = thread >> 32};
	struct handle *h = bpf_map_lookup_elem(&handles, &key);
	struct handle_key *owner;
	u64 socket;

	if (!h)
		return 0;
	ended(ctx, h, &key);
	socket = h->socket;
	bpf_map_delete_elem(&handles, &key);
	owner = bpf_map_lookup_elem(&owners, &socket);
	if (owner && owner->pointer == key.pointer && owner->process == key.process) // the socket may be another connection's by now
		bpf_map_delete_elem(&owners, &socket);
	return 0;
}
