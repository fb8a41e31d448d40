# A gRPC server that sends back what it gets, or a client: rpc server PORT CERTIFICATE KEY, or rpc client PORT CERTIFICATE.
import concurrent.futures, grpc, sys

side, port = sys.argv[1], sys.argv[2]
certificate = open(sys.argv[3], "rb").read()
if side == "server":
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=2))
    say = grpc.unary_unary_rpc_method_handler(lambda request, context: b"you said " + request)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("chat.Chat", {"Say": say}),))
    key = open(sys.argv[4], "rb").read()
    server.add_secure_port("127.0.0.1:" + port, grpc.ssl_server_credentials([(key, certificate)]))
    server.start()
    server.wait_for_termination()
with grpc.secure_channel("localhost:" + port, grpc.ssl_channel_credentials(certificate)) as channel:
    assert channel.unary_unary("/chat.Chat/Say")(b"hello") == b"you said hello"
