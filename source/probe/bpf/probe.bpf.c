//go:build ignore

// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// The probe's programs. Each names what it is put on; hooks.Program has the same names.
#include "kernel.h"
#include <bpf/bpf_endian.h>
#include "records.h"
#include "state.h"
#include "transport.h"
#include "descriptors.h"
#include "socket.h"
#include "tls.h"
#include "pieces.h"
#include "golang.h"
#include "system.h"

char LICENSE[] SEC("license") = "GPL";

// Programs that tell the rest of a long call: of one that has returned, of a write of Go, and of one in pieces.
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 3);
	__type(key, u32);
	__type(value, u32);
} again SEC(".maps");

// use_own_stack keeps a program that may be preempted on the stack of its thread. Since 6.13 kernels have a stack for each program and
// processor instead, for programs on probes that have no tail call: programs on kprobes are not preempted, but those on uprobes are, and
// then another thread's run spoils what they have there. The call is never made, and takes no time: the kernel knows, and removes it.
#define use_own_stack(ctx)                                                                                             \
	do {                                                                                                           \
		u64 never = 0;                                                                                         \
		asm volatile("" : "+r"(never));                                                                        \
		if (never)                                                                                             \
			bpf_tail_call(ctx, &again, 0);                                                                 \
	} while (0)

// What functions look like: hooks.Program has the same names.
#define do_read(ctx) enter(ctx, IN, 0, 0)
#define do_read_ex(ctx) enter(ctx, IN, 0, ARG4(ctx))
#define do_write(ctx) enter(ctx, OUT, 0, 0)
#define do_write_ex(ctx) enter(ctx, OUT, 0, ARG4(ctx))
#define do_write_ex2(ctx) enter(ctx, OUT, 0, ARG5(ctx))
#define do_sendfile(ctx) enter(ctx, OUT, CALL_FILE, 0)
#define do_window(ctx) enter(ctx, IN, CALL_WINDOW, 0)
#define do_free(ctx) forget(ctx, ARG1(ctx))
#define do_read_packet(ctx) enter(ctx, IN, CALL_PACKET, ARG2(ctx))
#define do_nspr_read(ctx) enter_nspr(ctx, IN, 0, 0)
#define do_nspr_recv(ctx) enter_nspr(ctx, IN, ARG4(ctx) & PR_MSG_PEEK ? CALL_WINDOW : 0, 0)
#define do_nspr_write(ctx) enter_nspr(ctx, OUT, 0, 0)
#define do_nspr_writev(ctx) enter_nspr(ctx, OUT, 0, ARG2(ctx))
#define do_nspr_free(ctx) forget(ctx, ARG1(ctx))
#define do_go_read(ctx) go_begin(ctx)
#define do_go_write(ctx) go_write(ctx)
#define do_go_free(ctx) forget(ctx, GO_ARG1(ctx))

// for_each names them in the order of the cookies that the agent gives.
#define for_each(f) f(read) f(read_ex) f(write) f(write_ex) f(write_ex2) f(sendfile) f(window) f(free) f(read_packet) \
	f(nspr_read) f(nspr_recv) f(nspr_write) f(nspr_writev) f(nspr_free) f(go_read) f(go_write) f(go_free)

#define program(NAME)                                                                                                  \
	SEC("uprobe/" #NAME)                                                                                           \
	int enter_##NAME##_call(struct pt_regs *ctx)                                                                   \
	{                                                                                                              \
		use_own_stack(ctx);                                                                                    \
		if (do_##NAME(ctx))                                                                                    \
			bpf_tail_call(ctx, &again, 1);                                                                 \
		return 0;                                                                                              \
	}
for_each(program)

#ifndef LEGACY

#define number(NAME) COOKIE_##NAME,
enum { for_each(number) };

// Kernels that attach many points at once do so per program: one for all functions of a library, with a cookie for each.
#define branch(NAME)                                                                                                   \
	case COOKIE_##NAME:                                                                                            \
		more = do_##NAME(ctx);                                                                                 \
		break;

SEC("uprobe/any")
int enter_any(struct pt_regs *ctx)
{
	int more = 0;

	switch (bpf_get_attach_cookie(ctx)) {
		for_each(branch)
	}
	if (more)
		bpf_tail_call(ctx, &again, 1);
	return 0;
}

#endif

SEC("uprobe/leave")
int leave(struct pt_regs *ctx)
{
	if (finish(ctx))
		bpf_tail_call(ctx, &again, 0);
	return 0;
}

SEC("uprobe/leave_pieces")
int leave_pieces(struct pt_regs *ctx)
{
	if (finish_pieces(ctx))
		bpf_tail_call(ctx, &again, 2);
	return 0;
}

SEC("uprobe/go_copy")
int go_copy(struct pt_regs *ctx)
{
	use_own_stack(ctx);
	return go_copied(ctx);
}

SEC("uprobe/go_again")
int go_again(struct pt_regs *ctx)
{
	if (go_long(ctx))
		bpf_tail_call(ctx, &again, 1);
	return 0;
}
