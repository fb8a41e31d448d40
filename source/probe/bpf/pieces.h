// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Calls whose plaintext is not in one buffer that the program names: PR_Writev takes it from several, and gnutls_record_recv_packet
// leaves it in a packet of the library.
#pragma once

// PRIOVec of nspr/prio.h.
struct vector {
	u64 base;
	s32 length;
	u32 unused;
};

// What gnutls_packet_t points to, behind two pointers: mbuffer_st of gnutls/lib/gnutls_int.h, which no program but GnuTLS itself is to know.
// It is the same in all releases since the first that has packets, and is believed only if its length is that of the result.
struct packet {
	u64 mark; // bytes of data that were read before
	u64 data;
	u32 size, unused;
};

#define PACKET 16 // offset of struct packet

static __always_inline u32 next_vector(struct call *call)
{
	struct vector v = {};
	u32 n;

	if (++call->runs >= RUNS)
		return LOSS_LONG;
	if (read_user(&v, sizeof(v), (void *)call->done) || v.length < 0)
		return LOSS_FAULT;
	n = v.length;
	if (n > call->rest)
		n = call->rest;
	call->done += sizeof(v);
	call->buffer = v.base - call->result; // tell adds what was sent of the call before
	call->sent = call->result;
	call->result += n;
	call->rest -= n;
	return 0;
}

static __always_inline u32 only_packet(struct call *call)
{
	struct packet p = {};
	u64 at = 0;

	if (read_user(&at, sizeof(at), (void *)call->done) || read_user(&p, sizeof(p), (void *)(at + PACKET)))
		return LOSS_FAULT;
	if (p.size < p.mark || p.size - p.mark != call->rest)
		return LOSS_PACKET;
	call->buffer = p.data + p.mark;
	call->result = call->rest;
	call->rest = 0;
	return 0;
}

// next_piece finds what tell is to send next. It returns 0, or why there is nothing although something is left of the result.
static __always_inline u32 next_piece(struct call *call)
{
	return call->flags & CALL_PACKET ? only_packet(call) : next_vector(call);
}

// lack tells that the rest of a call can't be sent.
static __always_inline void lack(void *ctx, struct call *call, const struct handle_key *key, struct handle *h, u32 reason)
{
	struct record head = {.process = key->process, .direction = call->direction, .handle = h->id, .time = bpf_ktime_get_ns()};
	u64 *position = call->direction == IN ? &h->position[IN] : &h->position[OUT];

	head.position[0] = *position;
	head.position[1] = call->direction == IN ? h->position[OUT] : h->position[IN];
	omit(ctx, &head, reason, call->rest);
	*position += call->rest;
}

// finish_pieces is finish for such a call: each run of the program tells one piece, or some of it, and finds the next. How many pieces there
// are is not asked: the result says how much of them was moved.
static __always_inline int finish_pieces(struct pt_regs *ctx)
{
	u64 thread = bpf_get_current_pid_tgid();
	struct call *call = call_of(thread);
	struct handle_key key = {.process = thread >> 32};
	struct handle *h;
	s32 result = RESULT(ctx);
	u32 reason;

	if (!call)
		return 0;
	if (call->depth) {
		call->depth--;
		return 0;
	}
	key.pointer = call->handle;
	h = handle_of(&key);
	if (!h)
		goto end;
	if (call->result) {
		if (tell(ctx, call, &key, h, call->buffer))
			return 1;
	} else {
		if (result > 0 || !by_descriptor(call->socket))
			settle(ctx, call, &key, h);
		call->rest = result > 0 ? result : 0;
	}
	if (call->rest) {
		reason = next_piece(call);
		if (!reason)
			return 1;
		lack(ctx, call, &key, h, reason);
	}
end:
	call->handle = 0;
	return 0;
}
