# One side of a conversation over TLS: peer SIDE PORT CERTIFICATE, with the steps as JSON on the standard input.
import base64, json, socket, ssl, sys, time

side, port, pem = sys.argv[2], int(sys.argv[3]), sys.argv[4]
steps = json.load(sys.stdin)
if side == "server":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    listener = socket.create_server(("127.0.0.1", port))
    conn = context.wrap_socket(listener.accept()[0], server_side=True)
else:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(pem)
    while True:
        try:
            raw = socket.create_connection(("127.0.0.1", port))
            break
        except ConnectionRefusedError:  # the server has just been started
            time.sleep(0.01)
    conn = context.wrap_socket(raw, server_hostname="localhost")
for step in steps:
    data = base64.b64decode(step["Data"])
    if step["ToServer"] == (side == "client"):
        conn.sendall(data)
    else:
        left = len(data)
        while left:
            left -= len(conn.recv(left))
conn.close() if side == "client" else conn.recv(1)
