# A server that sends back what it gets, or a client that says hello: websocket server PORT PEM, or websocket client PORT.
import asyncio, ssl, sys, websockets


async def echo(connection, path=None):
    async for message in connection:
        await connection.send("you said " + message)


async def main():
    side, port = sys.argv[1], int(sys.argv[2])
    if side == "server":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[3])
        async with websockets.serve(echo, "127.0.0.1", port, ssl=context):
            await asyncio.Future()
    context = ssl._create_unverified_context()
    async with websockets.connect(f"wss://127.0.0.1:{port}/chat", ssl=context) as connection:
        await connection.send("hello")
        assert await connection.recv() == "you said hello"


asyncio.run(main())
