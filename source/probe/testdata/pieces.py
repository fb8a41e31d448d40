# Gets URLs and puts files as move.py does, by functions of C whose plaintext is not in one buffer: pieces nspr|gnutls [@FILE] URL...
# NSPR gathers what it sends from pieces of all sizes, and looks at what it gets before it takes it; GnuTLS gives packets of its own.
import socket, struct, sys, time, urllib.parse
from ctypes import CDLL, CFUNCTYPE, Structure, byref, c_char_p, c_int, c_size_t, c_ssize_t, c_uint, c_void_p, create_string_buffer, string_at


class Vector(Structure):  # PRIOVec
    _fields_ = [("base", c_char_p), ("length", c_int)]


class Datum(Structure):  # gnutls_datum_t
    _fields_ = [("data", c_void_p), ("size", c_uint)]


def good(result):
    if result < 0:
        raise OSError(result)
    return result


class NSPR:
    forever, peek = c_uint(0xFFFFFFFF), 2
    trust = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int)(lambda *_: 0)

    def __init__(self, host, port):
        self.nspr, nss, ssl = CDLL("libnspr4.so"), CDLL("libnss3.so"), CDLL("libssl3.so")
        self.nspr.PR_OpenTCPSocket.restype = ssl.SSL_ImportFD.restype = c_void_p
        good(nss.NSS_NoDB_Init(None))
        good(ssl.NSS_SetDomesticPolicy())
        self.fd = c_void_p(ssl.SSL_ImportFD(None, c_void_p(self.nspr.PR_OpenTCPSocket(2))))
        good(ssl.SSL_AuthCertificateHook(self.fd, self.trust, None))
        good(ssl.SSL_SetURL(self.fd, b"localhost"))
        address = struct.pack("=H", 2) + struct.pack("!H", port) + socket.inet_aton(host)
        good(self.nspr.PR_Connect(self.fd, create_string_buffer(address, 128), self.forever))
        self.buffer = create_string_buffer(100_000)

    def send(self, text):
        pieces, size = [], 0
        while text and len(pieces) < 15:
            pieces.append(text[:size])
            text, size = text[size:], 3 * size + 1
        pieces.append(text)
        vectors = (Vector * len(pieces))(*[Vector(p, len(p)) for p in pieces])
        if self.nspr.PR_Writev(self.fd, vectors, len(pieces), self.forever) != sum(map(len, pieces)):
            raise OSError("PR_Writev")

    def receive(self):
        good(self.nspr.PR_Recv(self.fd, self.buffer, 10, self.peek, self.forever))
        return self.buffer[: good(self.nspr.PR_Recv(self.fd, self.buffer, len(self.buffer), 0, self.forever))]

    def close(self):
        self.nspr.PR_Close(self.fd)


class GnuTLS:
    again, interrupted = -28, -52

    def __init__(self, host, port):
        self.tls, self.session, credentials = CDLL("libgnutls.so.30"), c_void_p(), c_void_p()
        self.tls.gnutls_record_recv_packet.restype = self.tls.gnutls_record_send.restype = c_ssize_t
        self.socket = socket.create_connection((host, port))
        good(self.tls.gnutls_init(byref(self.session), 2))
        good(self.tls.gnutls_set_default_priority(self.session))
        good(self.tls.gnutls_certificate_allocate_credentials(byref(credentials)))
        good(self.tls.gnutls_credentials_set(self.session, 1, credentials))
        self.tls.gnutls_transport_set_int2(self.session, self.socket.fileno(), self.socket.fileno())
        good(self.tls.gnutls_handshake(self.session))

    def send(self, text):
        while text:
            text = text[good(self.tls.gnutls_record_send(self.session, text, c_size_t(len(text)))) :]

    def receive(self):
        packet, datum = c_void_p(), Datum()
        n = self.again
        while n in (self.again, self.interrupted):
            n = self.tls.gnutls_record_recv_packet(self.session, byref(packet))
        if good(n) == 0:
            return b""
        self.tls.gnutls_packet_get(packet, byref(datum), None)
        text = string_at(datum.data, datum.size)
        self.tls.gnutls_packet_deinit(packet)
        return text

    def close(self):
        self.tls.gnutls_deinit(self.session)
        self.socket.close()


def ask(url, file):
    host, path = url.netloc.split(":"), url.path + ("?" + url.query if url.query else "")
    connection = {"nspr": NSPR, "gnutls": GnuTLS}[sys.argv[1]](host[0], int(host[1]))
    body = open(file, "rb").read() if file else b""
    head = f"{'PUT' if file else 'GET'} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    connection.send(head.encode())
    for start in range(0, len(body), 2 << 20):
        connection.send(body[start : start + (2 << 20)])
        time.sleep(0.2)
    answer = bytearray()
    while text := connection.receive():
        answer += text
    connection.close()
    if not answer.startswith(b"HTTP/1.1 2"):
        raise OSError(bytes(answer[:100]))


file = None
for argument in sys.argv[2:]:
    if argument[0] == "@":
        file = argument[1:]
    else:
        ask(urllib.parse.urlparse(argument), file)
        file = None
