// Package bpf holds the programs that the probe puts into the kernel, and the layouts that they share with it. The C beside it is compiled
// twice: for kernels with a ring buffer and type information (5.8 and later), and for those before. It knows nothing of how
// programs are attached or what their records mean.
//
// A record's way: begin and finish in tls.h, send_chunk in transport.h.
package bpf

//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -go-package bpf -target amd64,arm64 -cflags "-O2 -g -Wall -Wno-unused-function" Modern probe.bpf.c -- -I/usr/include/x86_64-linux-gnu
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -go-package bpf -target amd64,arm64 -cflags "-O2 -g -Wall -Wno-unused-function -DLEGACY" Legacy probe.bpf.c -- -I/usr/include/x86_64-linux-gnu
//go:generate sh -c "LC_ALL=C sha256sum bpf.go *.c *.h *.o >objects.sum"
