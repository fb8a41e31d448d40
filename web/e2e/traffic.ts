import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect as tcpConnect, createServer as tcpServer, type AddressInfo, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, createServer } from "node:tls";
import { crc32, deflateSync, gzipSync } from "node:zlib";
import { Capture, type Segment } from "./pcap";

/** Real TLS conversations between Node's client and server, recorded on their way and written as packets. */
export interface Traffic {
  capture: Buffer;
  keylog: string;
}

/** A request as it is sent and its response. */
interface Exchange {
  request: string;
  response: Buffer;
}

/** What would run if the console took observed text for markup. */
export const payload = `"><img src=x onerror="window.pwned=1"><script>window.pwned=1</script>`;

/** A square of 64 by 64 red pixels. */
function makePNG(): Buffer {
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, sum]);
  };
  const header = Buffer.from([0, 0, 0, 64, 0, 0, 0, 64, 8, 2, 0, 0, 0]); // 8 bits each of red, green, blue
  const row = Buffer.concat([Buffer.alloc(1), Buffer.alloc(64 * 3, Buffer.from([200, 30, 40]))]);
  const pixels = deflateSync(Buffer.concat(Array<Buffer>(64).fill(row)));
  return Buffer.concat([
    Buffer.from("89504e470d0a1a0a", "hex"),
    chunk("IHDR", header),
    chunk("IDAT", pixels),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

function response(type: string, body: Buffer, headers: string[] = [], status = "200 OK"): Buffer {
  const head = [
    `HTTP/1.1 ${status}`,
    `Content-Type: ${type}`,
    `Content-Length: ${body.length}`,
    ...headers,
    "",
    "",
  ].join("\r\n");
  return Buffer.concat([Buffer.from(head), body]);
}

function get(host: string, path: string, headers: string[] = []): string {
  return [`GET ${path} HTTP/1.1`, `Host: ${host}`, "User-Agent: vitrine-e2e/1", ...headers, "", ""].join("\r\n");
}

const json = Buffer.from(
  JSON.stringify({
    items: [
      { id: 1, name: "lighthouse" },
      { id: 2, name: "灯塔" },
    ],
    next: null,
  }),
);

const shop: Exchange[] = [
  {
    request: get("shop.example", "/api/items?page=1"),
    response: response("application/json", gzipSync(json), ["Content-Encoding: gzip"]),
  },
  { request: get("shop.example", "/logo.png"), response: response("image/png", makePNG()) },
  {
    request: get("shop.example", "/missing"),
    response: response("text/plain", Buffer.from("not here\n"), [], "404 Not Found"),
  },
];

const hostile: Exchange[] = [
  {
    request: get(payload.replaceAll(" ", "/"), `/${payload.replaceAll(" ", "/")}`, [
      `X-${payload.replaceAll(/[ :]/g, "")}: ${payload}`,
      `X-Bidi: a\u202egpj.exe`,
    ]),
    response: response(
      "text/html",
      Buffer.from(`<html><body>${payload}<svg onload="window.pwned=1"></svg></body></html>`),
      [`X-Answer: ${payload}`],
    ),
  },
  {
    request: get("svg.example", "/image.svg"),
    response: response(
      "image/svg+xml",
      Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" onload="window.pwned=1"/>`),
    ),
  },
];

const many: Exchange[] = Array.from({ length: 450 }, (_, i) => ({
  request: get("bulk.example", `/item/${i}`),
  response: response("text/plain", Buffer.from(`item ${i}\n`)),
}));

/**
 * Makes a capture and the key log of all of its TLS connections but one in four. It begins at a time in milliseconds since 1970;
 * each further round of the same five connections is so many milliseconds later.
 */
export async function makeTraffic(at: number, rounds = 1, later = 0): Promise<Traffic> {
  const folder = mkdtempSync(join(tmpdir(), "vitrine-e2e-"));
  try {
    const certificate = makeCertificate(folder);
    const capture = new Capture(at);
    const keys: string[] = [];
    for (let round = 0; round < rounds; round++) {
      for (const [name, exchanges] of [
        ["shop.example", shop],
        [payload, hostile],
        ["bulk.example", many],
      ] as const) {
        capture.connection(await converse(certificate, name, exchanges, keys), 443);
      }
      capture.connection(await converse(certificate, "secret.example", shop, []), 443);
      capture.connection(shop.flatMap(plain), 80);
      capture.pause(later);
    }
    return { capture: capture.bytes(), keylog: keys.join("") };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A small capture of one request in plain HTTP, for the live tail. */
export function makePlainCapture(host: string): Buffer {
  const capture = new Capture(Date.now());
  capture.connection(
    plain({ request: get(host, "/live"), response: response("text/plain", Buffer.from("live\n")) }),
    80,
  );
  return capture.bytes();
}

function plain({ request, response: answer }: Exchange): Segment[] {
  return [
    { direction: 0, bytes: Buffer.from(request) },
    { direction: 1, bytes: answer },
  ];
}

interface Certificate {
  key: Buffer;
  cert: Buffer;
}

function makeCertificate(folder: string): Certificate {
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const options = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=shop.example";
  execFileSync(
    "openssl",
    [
      ...options.split(" "),
      "-addext",
      "subjectAltName=DNS:shop.example,DNS:www.shop.example",
      "-keyout",
      key,
      "-out",
      cert,
    ],
    { stdio: "ignore" },
  );
  return { key: readFileSync(key), cert: readFileSync(cert) };
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

/** Holds one conversation over TLS 1.3 and returns the ciphertext of both directions in the order in which it passed. */
async function converse(
  certificate: Certificate,
  serverName: string,
  exchanges: readonly Exchange[],
  keys: string[],
): Promise<Segment[]> {
  const answers = new Map(exchanges.map((e) => [e.request, e.response]));
  const server = createServer({ ...certificate, minVersion: "TLSv1.3" }, (socket) => {
    let got = "";
    socket.on("data", (data: Buffer) => {
      got += data.toString();
      const answer = answers.get(got);
      if (!answer) return;
      got = "";
      socket.write(answer);
    });
    socket.on("error", () => undefined); // the client is done
  });
  const inner = await listening(server);
  const segments: Segment[] = [];
  const recorder = tcpServer((from) => {
    const to = tcpConnect(inner, "127.0.0.1");
    const pass = (direction: 0 | 1) => (bytes: Buffer) => {
      segments.push({ direction, bytes });
      (direction === 0 ? to : from).write(bytes);
    };
    from
      .on("data", pass(0))
      .on("close", () => to.destroy())
      .on("error", () => undefined);
    to.on("data", pass(1))
      .on("close", () => from.destroy())
      .on("error", () => undefined);
  });
  const port = await listening(recorder);
  const client = connect({ host: "127.0.0.1", port, servername: serverName, rejectUnauthorized: false });
  client.on("keylog", (line) => keys.push(line.toString()));
  await new Promise<void>((resolve, reject) => client.once("secureConnect", resolve).once("error", reject));
  for (const { request, response: answer } of exchanges) {
    await new Promise<void>((resolve) => {
      let got = 0;
      const take = (data: Buffer) => {
        got += data.length;
        if (got < answer.length) return;
        client.off("data", take);
        resolve();
      };
      client.on("data", take);
      client.write(request);
    });
  }
  await new Promise<void>((resolve) => client.end(resolve));
  client.destroy();
  recorder.close();
  server.close();
  return segments;
}
