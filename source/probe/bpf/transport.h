// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// How records get to the agent: by one ring buffer for all processors (5.8 and later), or by one perf buffer each.
#pragma once

#define CHUNK 16384 // most bytes of plaintext in a record
#define HEAD 1024   // what is sent of a call when there is little room
#define RUNS 32     // of a program for one call: the kernel allows so many tail calls

#ifndef LEGACY

#define RING (16 << 20)
#define WAKE (RING / 8) // the agent looks by itself every few milliseconds: it is woken only once more than this waits

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RING);
} events SEC(".maps");

#define read_user(to, n, from) bpf_probe_read_user(to, n, from)
#define read_text(to, n, from) bpf_probe_read_kernel_str(to, n, from)

// wakeup asks to wake the agent once WAKE is passed. Far beyond that it is awake, and records would pay for nothing. It takes no branch,
// which the loop in tell can't afford.
static __always_inline u64 wakeup(void)
{
	u64 times = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) / WAKE; // at most 8

	return BPF_RB_NO_WAKEUP << (2 >> times & 1); // BPF_RB_FORCE_WAKEUP if times is 1
}

// crowded tells whether the agent can't keep up. Of long calls only the beginning is sent then, so that there is room for the beginnings of
// others, and programs do not pay for copies that come to nothing.
static __always_inline int crowded(void)
{
	return bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) > RING - RING / 8;
}

// plain_notice sends a head alone.
static __always_inline int plain_notice(void *ctx, struct record *head, int urgent)
{
	return bpf_ringbuf_output(&events, head, sizeof(*head), urgent ? BPF_RB_FORCE_WAKEUP : wakeup()) ? -1 : 0;
}

// notice sends a head and what a connection is tied to.
static __always_inline int notice(void *ctx, const struct record *head, const struct tie *t)
{
	struct tied *r = bpf_ringbuf_reserve(&events, sizeof(*r), 0);

	if (!r)
		return -1;
	r->head = *head;
	r->tie = *t;
	bpf_ringbuf_submit(r, wakeup());
	return 0;
}

// send_in sends n bytes in a record that is reserved for up to SIZE: the kernel wants a constant. The compiler must not see through
// k, or it leaves out the comparison that the kernel's verifier wants to find here.
#define send_in(SIZE)                                                                                                  \
	do {                                                                                                           \
		struct record *r = bpf_ringbuf_reserve(&events, sizeof(*r) + (SIZE), 0);                               \
		u64 k = n;                                                                                             \
		if (!r) {                                                                                              \
			lose(LOSS_FULL, n);                                                                            \
			return -1;                                                                                     \
		}                                                                                                      \
		*r = *head;                                                                                            \
		asm volatile("" : "+r"(k));                                                                            \
		if (k > (SIZE) || bpf_probe_read_user(r + 1, k, (void *)from)) {                                       \
			bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);                                                      \
			lose(LOSS_FAULT, n);                                                                           \
			return -1;                                                                                     \
		}                                                                                                      \
		bpf_ringbuf_submit(r, wakeup());                                                                       \
	} while (0)

// send_full sends a whole CHUNK, and send_rest 1 to CHUNK bytes, in a record that is little larger than they are. What they can't send is
// counted as lost, and they return -1.
static __always_inline int send_full(void *ctx, struct record *head, u64 from)
{
	u64 n = CHUNK;

	head->length = n;
	send_in(CHUNK);
	return 0;
}

static __always_inline int send_rest(void *ctx, struct record *head, u64 from, u64 n)
{
	head->length = n;
	if (n <= 128)
		send_in(128);
	else if (n <= 256)
		send_in(256);
	else if (n <= 512)
		send_in(512);
	else if (n <= 1024)
		send_in(1024);
	else if (n <= 1536)
		send_in(1536);
	else if (n <= 2048)
		send_in(2048);
	else if (n <= 3072)
		send_in(3072);
	else if (n <= 4096)
		send_in(4096);
	else if (n <= 6144)
		send_in(6144);
	else if (n <= 8192)
		send_in(8192);
	else if (n <= 12288)
		send_in(12288);
	else
		send_in(CHUNK);
	return 0;
}

#define CHUNKS 64 // full records of one run of a program: 1 MiB
#define unroll_in_old_kernels

#else

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} events SEC(".maps");

struct scratch {
	struct record head;
	u8 more[CHUNK];
	u64 users;
};

// A record is put together in one of these. Programs of old kernels are never interrupted by one another; kernels that let them be
// preempted need another one for each that waits.
#define SCRATCHES 4

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SCRATCHES);
	__type(key, u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

// claim returns a scratch that nobody else on this processor uses, or 0. Old kernels have no other atomic operation than addition.
static __always_inline struct scratch *claim(void)
{
	struct scratch *s;

#pragma unroll
	for (u32 i = 0; i < SCRATCHES; i++) {
		u32 key = i;

		s = bpf_map_lookup_elem(&scratches, &key);
		if (!s)
			return 0;
		__sync_fetch_and_add(&s->users, 1);
		if (*(volatile u64 *)&s->users == 1)
			return s;
		__sync_fetch_and_add(&s->users, -1);
	}
	return 0;
}

// is_kernels tells an address of the kernel's own: that memory is nobody's plaintext.
static __always_inline int is_kernels(u64 address)
{
	return (s64)address < 0;
}

#define read_user(to, n, from) (is_kernels((u64)(from)) ? -1 : bpf_probe_read(to, n, from))
#define read_text(to, n, from) bpf_probe_read_str(to, n, from)

static __always_inline int plain_notice(void *ctx, struct record *head, int urgent)
{
	return bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, head, sizeof(*head)) ? -1 : 0;
}

static __always_inline int notice(void *ctx, const struct record *head, const struct tie *t)
{
	struct tied r = {.head = *head, .tie = *t};

	return bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &r, sizeof(r)) ? -1 : 0;
}

// bounded gives the verifier the bounds of n, which is at most CHUNK, where they are needed: old kernels forget those of a number that the
// compiler puts by.
static __always_inline u64 bounded(u64 n)
{
	asm volatile("" : "+r"(n));
	n &= 2 * CHUNK - 1;
	return n > CHUNK ? CHUNK : n;
}

static __always_inline int send_rest(void *ctx, struct record *head, u64 from, u64 n)
{
	struct scratch *s;
	int lost = -1;

	if (is_kernels(from)) {
		lose(LOSS_FAULT, n);
		return -1;
	}
	if (n == 0 || n > CHUNK || !(s = claim())) {
		lose(LOSS_FULL, n);
		return -1;
	}
	head->length = n;
	__builtin_memcpy(&s->head, head, sizeof(*head));
	if (bpf_probe_read(s->more, bounded(n), (void *)from))
		lose(LOSS_FAULT, n);
	else if (bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, s, sizeof(s->head) + bounded(n)))
		lose(LOSS_FULL, n);
	else
		lost = 0;
	__sync_fetch_and_add(&s->users, -1);
	return lost;
}

static __always_inline int send_full(void *ctx, struct record *head, u64 from)
{
	return send_rest(ctx, head, from, CHUNK);
}

static __always_inline int crowded(void)
{
	return 0;
}

#define CHUNKS 4 // full records of one run of a program
#define unroll_in_old_kernels _Pragma("unroll")

#endif
