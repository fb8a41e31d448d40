// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// What the kernel itself tells: which sockets are used inside of TLS calls, and which processes come and go.
#pragma once

// A tracepoint's arguments: /sys/kernel/tracing/events/syscalls/*/format.
struct syscall_enter {
	u64 common;
	long number;
	u64 args[6];
};

struct syscall_exit {
	u64 common;
	long number;
	long result;
};

// used notes that the thread uses a descriptor. Inside a TLS call, that is the connection's socket. Outside, it may be a program that moves
// its ciphertext itself.
static __always_inline int used(struct syscall_enter *ctx, int reads, u64 vector)
{
	u64 thread = bpf_get_current_pid_tgid();
	struct call *call = call_of(thread);
	u32 process = thread >> 32;
	struct process *p;

	if (reads)
		read_begins(thread, ctx->args[0]);
	if (call) {
		s32 fd = ctx->args[0];

		if (!(call->flags & CALL_KNOWN) && (!call->socket || by_descriptor(call->socket) || call->flags & CALL_ARRIVED)) {
			u64 socket = socket_of(fd);

			if (socket) {
				call->socket = socket;
				call->fd = fd;
				call->flags &= ~CALL_ARRIVED;
			}
		}
		return 0;
	}
	if (!reads)
		return 0;
	p = bpf_map_lookup_elem(&processes, &process);
	if (p && p->memory_bio && p->verdict != DROP) {
		struct reading r = {.buffer = ctx->args[1], .vector = vector, .fd = ctx->args[0]};

		bpf_map_update_elem(&readings, &thread, &r, BPF_ANY);
	}
	return 0;
}

// The forms in which a syscall's second argument leads to its buffer.
enum { BUFFER, IOVEC, MSGHDR };

// arrived notes which socket a thread has read TLS records from: the first TLS call after it takes them.
static __always_inline int arrived(struct syscall_exit *ctx)
{
	u64 thread = bpf_get_current_pid_tgid();
	struct reading *found = bpf_map_lookup_elem(&readings, &thread), r;
	struct arrival a = {};
	u8 head[3] = {};

	read_ends(thread);
	if (!found)
		return 0;
	r = *found;
	bpf_map_delete_elem(&readings, &thread);
	if (ctx->result < (long)sizeof(head))
		return 0;
	// struct msghdr holds the address of its first iovec behind the address of a name and its length; an iovec begins with a buffer's address.
	if (r.vector == MSGHDR && read_user(&r.buffer, sizeof(r.buffer), (void *)(r.buffer + 16)))
		return 0;
	if (r.vector != BUFFER && read_user(&r.buffer, sizeof(r.buffer), (void *)r.buffer))
		return 0;
	if (read_user(head, sizeof(head), (void *)r.buffer))
		return 0;
	if (head[0] < 20 || head[0] > 23 || head[1] != 3) // RFC 8446 §5.1: type of a record, legacy version
		return 0;
	a.fd = r.fd;
	a.socket = socket_of(r.fd);
	if (a.socket)
		bpf_map_update_elem(&arrivals, &thread, &a, BPF_ANY);
	return 0;
}

#define on_enter(NAME, READS, VECTOR)                                                                                  \
	SEC("tracepoint/syscalls/sys_enter_" #NAME)                                                                    \
	int enter_##NAME(struct syscall_enter *ctx)                                                                    \
	{                                                                                                              \
		return used(ctx, READS, VECTOR);                                                                       \
	}
#define on_exit(NAME)                                                                                                  \
	SEC("tracepoint/syscalls/sys_exit_" #NAME)                                                                     \
	int exit_##NAME(struct syscall_exit *ctx)                                                                      \
	{                                                                                                              \
		return arrived(ctx);                                                                                   \
	}

on_enter(read, 1, BUFFER);
on_enter(readv, 1, IOVEC);
on_enter(recvfrom, 1, BUFFER);
on_enter(recvmsg, 1, MSGHDR);
on_enter(write, 0, BUFFER);
on_enter(writev, 0, IOVEC);
on_enter(sendto, 0, BUFFER);
on_enter(sendmsg, 0, MSGHDR);
on_exit(read);
on_exit(readv);
on_exit(recvfrom);
on_exit(recvmsg);

// tell_of_file tells that a process uses a file, unless it is known that nothing in it speaks TLS. The agent is woken at once: it must
// look before the process has ended.
static __always_inline void tell_of_file(void *ctx, u8 kind, u32 process, const struct file_key *file)
{
	struct record head = {.kind = kind, .process = process};

	head.time = bpf_ktime_get_ns();
	head.position[0] = file->inode;
	head.position[1] = (u64)file->generation << 32 | file->device;
	if (plain_notice(ctx, &head, 1))
		lose(LOSS_NOTICE, 1);
}

static __always_inline int is_plain(const struct file_key *file)
{
	u32 *known = bpf_map_lookup_elem(&files, file);

	return known && *known == FILE_PLAIN;
}

#define PROT_EXEC 4

// mmap(address, length, protection, flags, descriptor, offset)
SEC("tracepoint/syscalls/sys_enter_mmap")
int enter_mmap(struct syscall_enter *ctx)
{
	u64 thread = bpf_get_current_pid_tgid();
	struct file_key file = {};
	s32 fd = ctx->args[4];

	if (!(ctx->args[2] & PROT_EXEC) || fd < 0)
		return 0;
	file_of(fd, &file);
	if (!is_plain(&file))
		bpf_map_update_elem(&mappings, &thread, &file, BPF_ANY);
	return 0;
}

// A library is told of once it is mapped: then the agent finds it in /proc.
SEC("tracepoint/syscalls/sys_exit_mmap")
int exit_mmap(struct syscall_exit *ctx)
{
	u64 thread = bpf_get_current_pid_tgid();
	struct file_key *file = bpf_map_lookup_elem(&mappings, &thread);

	if (file) {
		tell_of_file(ctx, KIND_MAPPED, thread >> 32, file);
		bpf_map_delete_elem(&mappings, &thread);
	}
	return 0;
}

// include/trace/events/sched.h
struct exec {
	u64 common;
	u32 filename; // the lower half is where it is in this record
	u32 process, thread; // the thread has the process's number from now on
};

static __always_inline void forget_thread(u64 process, u32 thread)
{
	u64 key = process << 32 | thread;

	bpf_map_delete_elem(&calls, &key);
}

SEC("tracepoint/sched/sched_process_exec")
int process_exec(struct exec *ctx)
{
	u32 process = bpf_get_current_pid_tgid() >> 32;
	struct file_key file = {};
	struct path path = {};
	int known = !bpf_map_delete_elem(&processes, &process); // by facts that are no longer true

	forget_thread(process, process);
	forget_thread(process, ctx->thread);
	read_text(path.text, sizeof(path.text), (void *)ctx + (ctx->filename & 0xffff));
	bpf_map_update_elem(&executed, &process, &path, BPF_ANY);
	program_file(&file);
	if (known || !is_plain(&file))
		tell_of_file(ctx, KIND_EXEC, process, &file);
	return 0;
}

SEC("tracepoint/sched/sched_process_exit")
int process_exit(void *ctx)
{
	u64 thread = bpf_get_current_pid_tgid();
	u32 process = thread >> 32;
	struct record head = {.kind = KIND_EXIT, .process = process};

	bpf_map_delete_elem(&calls, &thread);
	if (!last_thread(thread))
		return 0;
	bpf_map_delete_elem(&processes, &process);
	head.time = bpf_ktime_get_ns();
	if (plain_notice(ctx, &head, 0))
		lose(LOSS_NOTICE, 1);
	return 0;
}

// changed takes a change of a TCP connection's state.
static __always_inline int changed(void *ctx, u64 socket, u64 before, u64 after)
{
	struct record head = {.kind = KIND_HANGUP};
	struct handle_key *owner;
	struct handle *h;
	u8 role = ROLE_UNKNOWN;

	if (after == TCP_SYN_SENT && bound(socket))
		role = ROLE_CLIENT; // else role_of tells
	else if (before == TCP_SYN_RECV && after == TCP_ESTABLISHED)
		role = ROLE_SERVER;
	if (role)
		bpf_map_update_elem(&roles, &socket, &role, BPF_ANY);
	if (after != TCP_CLOSE)
		return 0;
	bpf_map_delete_elem(&roles, &socket);
	owner = bpf_map_lookup_elem(&owners, &socket);
	if (!owner)
		return 0;
	h = bpf_map_lookup_elem(&handles, owner);
	if (h && h->socket == socket) {
		h->hung_up = 1;
		head.time = bpf_ktime_get_ns();
		head.handle = h->id;
		head.process = owner->process;
		head.position[IN] = h->position[IN];
		head.position[OUT] = h->position[OUT];
		if (plain_notice(ctx, &head, 0))
			lose(LOSS_NOTICE, 1);
	}
	bpf_map_delete_elem(&owners, &socket);
	return 0;
}

#ifndef LEGACY

// include/trace/events/sock.h: TP_PROTO(const struct sock *sk, const int oldstate, const int newstate)
SEC("raw_tracepoint/inet_sock_set_state")
int socket_state(struct bpf_raw_tracepoint_args *ctx)
{
	return changed(ctx, ctx->args[0], ctx->args[1], ctx->args[2]);
}

#else

struct state_change {
	u64 common;
	u64 socket;
	u32 before, after;
};

// The same in its stable form: before 5.2, raw tracepoints that interrupt one another may spoil what each of them sends.
SEC("tracepoint/sock/inet_sock_set_state")
int socket_changed(struct state_change *ctx)
{
	u64 socket = ctx->socket;

	if (ctx->after == TCP_CLOSE)
		bpf_map_delete_elem(&sockets, &socket);
	return changed(ctx, socket, ctx->before, ctx->after);
}

#endif
