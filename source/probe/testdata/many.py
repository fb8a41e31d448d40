# Many connections at once: many PORT COUNT NAME. It opens them all, prints each one's number and local port, and once its standard input
# has ended, asks for /ok/NAME/number over each.
import asyncio, ssl, sys

port, count, name = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]


async def ask(number, reader, writer):
    writer.write(f"GET /ok/{name}/{number} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    if b"fine" not in await reader.read():
        sys.exit("no answer")
    writer.close()


async def main():
    context = ssl._create_unverified_context()
    open_all = [asyncio.open_connection("127.0.0.1", port, ssl=context) for _ in range(count)]
    connections = await asyncio.gather(*open_all)
    for number, (_, writer) in enumerate(connections):
        print(number, writer.get_extra_info("sockname")[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await asyncio.gather(*(ask(number, *c) for number, c in enumerate(connections)))


asyncio.run(main())
