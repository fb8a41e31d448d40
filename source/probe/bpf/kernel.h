// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// The little of the kernel's types that the programs read. Field offsets are those of the running kernel: the loader relocates
// every access (CO-RE). The object for old kernels reads none of them.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef long long s64;
typedef u16 __be16;
typedef u32 __be32;
typedef u32 __wsum;
typedef u8 __u8;
typedef u16 __u16;
typedef u32 __u32;
typedef u64 __u64;
typedef s32 __s32;
typedef s64 __s64;

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#if defined(__TARGET_ARCH_x86)

// arch/x86/include/asm/ptrace.h
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};
#define ARG1(c) ((u64)(c)->di)
#define ARG2(c) ((u64)(c)->si)
#define ARG3(c) ((u64)(c)->dx)
#define ARG4(c) ((u64)(c)->cx)
#define ARG5(c) ((u64)(c)->r8)
#define RESULT(c) ((u64)(c)->ax)
#define STACK(c) ((u64)(c)->sp)
// Go's internal calling convention: go/src/cmd/compile/abi-internal.md.
#define GO_ARG1(c) ((u64)(c)->ax)
#define GO_ARG2(c) ((u64)(c)->bx)
#define GO_ARG3(c) ((u64)(c)->cx)
#define GO_RESULT(c) ((u64)(c)->ax)
#define GO_G(c) ((u64)(c)->r14)

#elif defined(__TARGET_ARCH_arm64)

// arch/arm64/include/uapi/asm/ptrace.h
struct pt_regs {
	u64 regs[31], sp, pc, pstate;
};
#define ARG1(c) ((c)->regs[0])
#define ARG2(c) ((c)->regs[1])
#define ARG3(c) ((c)->regs[2])
#define ARG4(c) ((c)->regs[3])
#define ARG5(c) ((c)->regs[4])
#define RESULT(c) ((c)->regs[0])
#define STACK(c) ((c)->sp)
#define GO_ARG1(c) ((c)->regs[0])
#define GO_ARG2(c) ((c)->regs[1])
#define GO_ARG3(c) ((c)->regs[2])
#define GO_RESULT(c) ((c)->regs[0])
#define GO_G(c) ((c)->regs[28])

#endif

#ifndef LEGACY

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ns_common {
	u32 inum;
};
struct net {
	struct ns_common ns;
};
typedef struct {
	struct net *net;
} possible_net_t;
struct in6_addr {
	u8 bytes[16];
};
struct sock_common {
	__be32 skc_daddr, skc_rcv_saddr;
	__be16 skc_dport;
	u16 skc_num, skc_family;
	volatile u8 skc_state;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr;
};
struct sock {
	struct sock_common __sk_common;
};
struct inet_bind_bucket {
	signed char fastreuse;
};
struct inet_connection_sock {
	struct inet_bind_bucket *icsk_bind_hash;
};
struct socket {
	short type;
	struct sock *sk;
};
struct super_block {
	u32 s_dev;
};
struct inode {
	u16 i_mode;
	unsigned long i_ino;
	u32 i_generation;
	struct super_block *i_sb;
};
struct file {
	struct inode *f_inode;
	void *private_data;
};
struct fdtable {
	u32 max_fds;
	struct file **fd;
};
struct files_struct {
	struct fdtable *fdt;
};
struct mm_struct {
	struct file *exe_file;
};
typedef struct {
	int counter;
} atomic_t;
struct signal_struct {
	atomic_t live;
};
struct task_struct {
	struct files_struct *files;
	struct mm_struct *mm;
	struct signal_struct *signal;
};

#pragma clang attribute pop

#include <bpf/bpf_core_read.h>

#endif
