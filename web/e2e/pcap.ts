/** Writes packets of TCP connections as a pcap file, as a capture of a network would have them. */

const clientToServer = 0;
const maxPayload = 1400;
const flag = { fin: 1, syn: 2, psh: 8, ack: 16 };

export interface Segment {
  direction: 0 | 1; // 0 to the server
  bytes: Buffer;
}

interface Side {
  ip: number[];
  port: number;
  seq: number;
}

function fileHeader(): Buffer {
  const b = Buffer.alloc(24);
  b.writeUInt32LE(0xa1b2c3d4, 0);
  b.writeUInt16LE(2, 4);
  b.writeUInt16LE(4, 6);
  b.writeUInt32LE(65_535, 16);
  b.writeUInt32LE(1, 20); // Ethernet
  return b;
}

/** RFC 1071 */
function checksum(...parts: Buffer[]): number {
  const all = Buffer.concat(parts);
  let sum = 0;
  for (let i = 0; i < all.length; i += 2)
    sum += all.readUInt8(i) * 256 + (i + 1 < all.length ? all.readUInt8(i + 1) : 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function frame(from: Side, to: Side, flags: number, payload: Buffer): Buffer {
  const ethernet = Buffer.from("0200000000020200000000010800", "hex");
  const ip = Buffer.alloc(20);
  ip.writeUInt8(0x45, 0);
  ip.writeUInt16BE(40 + payload.length, 2);
  ip.writeUInt8(64, 8);
  ip.writeUInt8(6, 9);
  Buffer.from(from.ip).copy(ip, 12);
  Buffer.from(to.ip).copy(ip, 16);
  ip.writeUInt16BE(checksum(ip), 10);
  const tcp = Buffer.alloc(20);
  tcp.writeUInt16BE(from.port, 0);
  tcp.writeUInt16BE(to.port, 2);
  tcp.writeUInt32BE(from.seq >>> 0, 4);
  if (flags & flag.ack) tcp.writeUInt32BE(to.seq >>> 0, 8);
  tcp.writeUInt8(0x50, 12);
  tcp.writeUInt8(flags, 13);
  tcp.writeUInt16BE(65_535, 14);
  const pseudo = Buffer.from([...from.ip, ...to.ip, 0, 6, (20 + payload.length) >> 8, (20 + payload.length) & 255]);
  tcp.writeUInt16BE(checksum(pseudo, tcp, payload), 16);
  return Buffer.concat([ethernet, ip, tcp, payload]);
}

/** A capture that grows by whole connections. */
export class Capture {
  private readonly records: Buffer[] = [fileHeader()];
  private connections = 0;
  private at: number;

  /** at is the time of the first packet in milliseconds since 1970; each further one is a millisecond later. */
  constructor(at: number) {
    this.at = at;
  }

  /** Lets time pass. */
  pause(ms: number): void {
    this.at += ms;
  }

  connection(segments: Segment[], serverPort: number): void {
    const n = this.connections++;
    const client: Side = { ip: [10, 0, 1, n % 250], port: 40_000 + n, seq: 1_000 + n };
    const server: Side = { ip: [192, 0, 2, 10], port: serverPort, seq: 9_000 + n };
    this.send(client, server, flag.syn);
    this.send(server, client, flag.syn | flag.ack);
    this.send(client, server, flag.ack);
    for (const { direction, bytes } of segments) {
      const [from, to] = direction === clientToServer ? [client, server] : [server, client];
      for (let i = 0; i < bytes.length; i += maxPayload)
        this.send(from, to, flag.psh | flag.ack, bytes.subarray(i, i + maxPayload));
    }
    this.send(client, server, flag.fin | flag.ack);
    this.send(server, client, flag.fin | flag.ack);
    this.send(client, server, flag.ack);
  }

  private send(from: Side, to: Side, flags: number, payload: Buffer = Buffer.alloc(0)): void {
    const bytes = frame(from, to, flags, payload);
    const header = Buffer.alloc(16);
    header.writeUInt32LE(Math.floor(this.at / 1000), 0);
    header.writeUInt32LE((this.at % 1000) * 1000, 4);
    header.writeUInt32LE(bytes.length, 8);
    header.writeUInt32LE(bytes.length, 12);
    this.records.push(header, bytes);
    this.at++;
    from.seq += payload.length + (flags & (flag.syn | flag.fin) ? 1 : 0);
  }

  bytes(): Buffer {
    return Buffer.concat(this.records);
  }
}
