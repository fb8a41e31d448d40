# A program that does with TLS what it is told on its standard input, a line each, and answers each line with one.
import os, socket, sys

conn = None


def obey(words):
    global conn
    verb, args = words[0], words[1:]
    if verb == "load":  # OpenSSL, which is not in the program before
        import ssl
    elif verb == "connect":
        import ssl

        conn = ssl._create_unverified_context().wrap_socket(socket.create_connection(("127.0.0.1", int(args[0]))))
        return f"{conn.getsockname()[1]} {conn.fileno()}"
    elif verb == "ask":
        conn.sendall(f"GET {args[0]} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        answer = b""
        while not answer.endswith(b"fine\n"):
            part = conn.recv(4096)
            if not part:
                return "closed"
            answer += part
    elif verb == "close":
        conn.close()
    elif verb == "fork":  # the child goes on, and this process ends with it
        child = os.fork()
        if child:
            os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        return str(os.getpid())
    elif verb == "sandbox":  # to be killed where anything but itself makes it do a system call: uretprobe(2) or uprobe(2) of x86-64
        import ctypes, struct

        load, equal, give = 0x20, 0x15, 0x06  # linux/bpf_common.h: BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K
        kill, allow = 0x80000000, 0x7FFF0000  # linux/seccomp.h
        rules = [(load, 0, 0, 0), (equal, 1, 0, 335), (equal, 0, 1, 336), (give, 0, 0, kill), (give, 0, 0, allow)]
        code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *r) for r in rules))
        program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(rules), ctypes.addressof(code)))
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        if prctl(38, 1, 0, 0, 0) or prctl(22, 2, program, 0, 0):  # linux/prctl.h: PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP
            return f"error {ctypes.get_errno()}"
    elif verb == "become":
        os.execvp(args[0], args)
    return "done"


while line := os.read(0, 4096):
    os.write(1, (obey(line.decode().split()) + "\n").encode())
