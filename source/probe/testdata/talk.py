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
    elif verb == "become":
        os.execvp(args[0], args)
    return "done"


while line := os.read(0, 4096):
    os.write(1, (obey(line.decode().split()) + "\n").encode())
