// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Which socket a file descriptor of the current process is, and what its addresses are.
#pragma once

#define AF_INET 2
#define AF_INET6 10

#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT 2
#define TCP_SYN_RECV 3
#define TCP_CLOSE 7

#ifndef LEGACY

#define SOCK_STREAM 1
#define S_IFMT 0170000
#define S_IFSOCK 0140000

// opened returns the file behind the descriptor, or 0.
static __always_inline struct file *opened(s32 fd)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **array, *file = 0;

	if (fd < 0 || (u32)fd >= BPF_CORE_READ(table, max_fds))
		return 0;
	array = BPF_CORE_READ(table, fd);
	bpf_probe_read_kernel(&file, sizeof(file), array + fd);
	return file;
}

static __always_inline void name_file(struct file *file, struct file_key *key)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);

	key->inode = BPF_CORE_READ(inode, i_ino);
	key->device = BPF_CORE_READ(inode, i_sb, s_dev);
	key->generation = BPF_CORE_READ(inode, i_generation);
}

// file_of names the file behind the descriptor, and program_file the one that the process runs.
static __always_inline void file_of(s32 fd, struct file_key *key)
{
	struct file *file = opened(fd);

	if (file)
		name_file(file, key);
}

static __always_inline void program_file(struct file_key *key)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct file *file = BPF_CORE_READ(task, mm, exe_file);

	if (file)
		name_file(file, key);
}

// socket_of returns the stream socket over IP behind the descriptor, or 0.
static __always_inline u64 socket_of(s32 fd)
{
	struct file *file = opened(fd);
	struct socket *socket;
	struct sock *sk;
	u16 family;

	if (!file)
		return 0;
	if ((BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	socket = BPF_CORE_READ(file, private_data);
	if (BPF_CORE_READ(socket, type) != SOCK_STREAM)
		return 0;
	sk = BPF_CORE_READ(socket, sk);
	family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (family != AF_INET && family != AF_INET6)
		return 0;
	return (u64)sk;
}

// bound tells whether the socket has a port.
static __always_inline int bound(u64 socket)
{
	struct inet_connection_sock *connection = (void *)socket;

	return BPF_CORE_READ(connection, icsk_bind_hash) != 0;
}

// role_of tells which side of its connection a socket is. It is a client if connect(2) chose its port: such ports have fastreuse -1
// (net/ipv4/inet_hashtables.c, __inet_hash_connect).
static __always_inline u16 role_of(u64 socket)
{
	struct inet_connection_sock *connection = (void *)socket;
	u8 *seen;

	if (BPF_CORE_READ(connection, icsk_bind_hash, fastreuse) == -1)
		return ROLE_CLIENT;
	seen = bpf_map_lookup_elem(&roles, &socket);
	return seen ? *seen : ROLE_UNKNOWN;
}

// describe fills in the addresses of the socket.
static __always_inline void describe(struct tie *t, u64 socket)
{
	struct sock *sk = (void *)socket;

	t->socket = socket;
	t->role = role_of(socket);
	t->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	t->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	t->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	t->remote_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (t->family == AF_INET) {
		BPF_CORE_READ_INTO((u32 *)t->local, sk, __sk_common.skc_rcv_saddr);
		BPF_CORE_READ_INTO((u32 *)t->remote, sk, __sk_common.skc_daddr);
	} else {
		BPF_CORE_READ_INTO((struct in6_addr *)t->local, sk, __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO((struct in6_addr *)t->remote, sk, __sk_common.skc_v6_daddr);
	}
}

// last_thread tells whether a thread that ends is the last of its process: the first one may end before others do.
static __always_inline int last_thread(u64 thread)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return BPF_CORE_READ(task, signal, live.counter) == 0;
}

static __always_inline int alive(u64 socket)
{
	struct sock *sk = (void *)socket;

	return BPF_CORE_READ(sk, __sk_common.skc_state) != TCP_CLOSE;
}

static __always_inline int by_descriptor(u64 socket)
{
	return 0;
}

static __always_inline void read_begins(u64 thread, s32 fd)
{
}

static __always_inline void read_ends(u64 thread)
{
}

#else

// A socket that nothing was read from yet is known by its descriptor, and the agent looks in /proc. Addresses in the kernel are negative.
#define BY_DESCRIPTOR (1ull << 62)

static __always_inline int by_descriptor(u64 socket)
{
	return (s64)socket > 0;
}

static __always_inline void file_of(s32 fd, struct file_key *key)
{
}

static __always_inline void program_file(struct file_key *key)
{
}

static __always_inline u64 socket_of(s32 fd)
{
	struct descriptor key = {.process = bpf_get_current_pid_tgid() >> 32, .fd = fd};
	u64 *socket = bpf_map_lookup_elem(&descriptors, &key);

	if (socket)
		return *socket;
	return fd < 3 ? 0 : BY_DESCRIPTOR | (u32)fd;
}

// bound tells that the role of a socket must be remembered: nothing else tells it.
static __always_inline int bound(u64 socket)
{
	return 1;
}

static __always_inline void describe(struct tie *t, u64 socket)
{
	struct addresses *a = bpf_map_lookup_elem(&sockets, &socket);
	u8 *role = bpf_map_lookup_elem(&roles, &socket);

	t->socket = socket;
	if (role)
		t->role = *role;
	if (!a)
		return;
	t->family = AF_INET6;
	t->local_port = a->local_port;
	t->remote_port = a->remote_port;
	__builtin_memcpy(t->local, a->local, sizeof(t->local));
	__builtin_memcpy(t->remote, a->remote, sizeof(t->remote));
}

static __always_inline int last_thread(u64 thread)
{
	return thread >> 32 == (u32)thread;
}

// alive tells whether a connection was seen to begin at the address since the last one there was seen to end.
static __always_inline int alive(u64 socket)
{
	return bpf_map_lookup_elem(&roles, &socket) != 0;
}

#endif

// owned tells whether the socket belongs to another connection that is alive.
static __always_inline int owned(u64 socket, const struct handle_key *by)
{
	struct handle_key *owner = bpf_map_lookup_elem(&owners, &socket);

	if (by_descriptor(socket)) // which others may have had: nobody tells when those were closed
		return 0;
	return owner && owner->process == by->process && owner->pointer != by->pointer && bpf_map_lookup_elem(&handles, owner);
}
