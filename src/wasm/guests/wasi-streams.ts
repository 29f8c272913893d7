import { guestTalkLimits } from "../../limits.ts";
import type { Sink, Source } from "./byte-streams.ts";
import type { GuestLife } from "./guest-life.ts";
import type { GuestMemory } from "./guest-memory.ts";
import { errno } from "./wasi-errno.ts";
import type { WasiWorld } from "./wasi-world.ts";

/** An open descriptor. There are never others than the three that a guest begins with. */
interface Descriptor {
  readonly source?: Source;
  readonly sink?: Sink;
  flags: number;
}

/** The open descriptors of one instance. */
export type Descriptors = Map<number, Descriptor>;

/** stdin, stdout and stderr, open. */
export function standardDescriptors(world: WasiWorld): Descriptors {
  return new Map<number, Descriptor>([
    [0, { source: world.stdin, flags: 0 }],
    [1, { sink: world.stdout, flags: 0 }],
    [2, { sink: world.stderr, flags: 0 }],
  ]);
}

/** https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#rights, by bit. */
const rights = {
  fdRead: 1n << 1n,
  fdstatSetFlags: 1n << 3n,
  fdWrite: 1n << 6n,
  filestatGet: 1n << 21n,
  pollReadWrite: 1n << 27n,
};

/** Preview 1 has no type for a pipe. A character device would be taken for a terminal, with prompts and colours. */
const filetypeUnknown = 0;

/** `append` and `nonblock`, and the three kinds of sync. */
const fdflagsAll = 0b11111;

/** Reading and writing the standard streams, and what there is to know about a descriptor. */
export function streamFunctions(life: GuestLife, descriptors: Descriptors) {
  const { memory } = life;

  return {
    fd_read(fd: number, vectors: number, count: number, readPointer: number): number {
      const source = descriptors.get(fd)?.source;
      if (source === undefined) return errno.badf;
      if (count >>> 0 > guestTalkLimits.ioVectorsMax) return errno.inval;
      const ranges = ioVectors(memory, vectors, count);
      memory.range(readPointer, 4, "a result");
      let read = 0;
      for (const range of ranges) {
        const bytes = source.read(range.size);
        memory.write(range.start, bytes, "a buffer");
        read += bytes.length;
      }
      life.payBytes(read);
      memory.setU32(readPointer, read);
      return errno.success;
    },

    fd_write(fd: number, vectors: number, count: number, writtenPointer: number): number {
      const sink = descriptors.get(fd)?.sink;
      if (sink === undefined) return errno.badf;
      if (count >>> 0 > guestTalkLimits.ioVectorsMax) return errno.inval;
      const ranges = ioVectors(memory, vectors, count);
      memory.range(writtenPointer, 4, "a result");
      const room = sink.room(ranges.reduce((sum, range) => sum + range.size, 0));
      if (room < 0) return errno.fbig;
      life.payBytes(room);
      if (room > 0) sink.write(gather(memory, ranges, room));
      memory.setU32(writtenPointer, room);
      return errno.success;
    },

    fd_fdstat_get(fd: number, pointer: number): number {
      const descriptor = descriptors.get(fd);
      if (descriptor === undefined) return errno.badf;
      memory.fill(pointer, 24, "the status of a descriptor", (range) => range.fill(0));
      memory.setU8(pointer, filetypeUnknown);
      memory.setU16(pointer + 2, descriptor.flags);
      memory.setU64(pointer + 8, rightsOf(descriptor));
      return errno.success;
    },

    fd_fdstat_set_flags(fd: number, flags: number): number {
      const descriptor = descriptors.get(fd);
      if (descriptor === undefined) return errno.badf;
      if ((flags & ~fdflagsAll) !== 0) return errno.inval;
      descriptor.flags = flags;
      return errno.success;
    },

    /** 64 bytes that are all zero: an unnamed stream without a device, a size or a date. */
    fd_filestat_get(fd: number, pointer: number): number {
      if (!descriptors.has(fd)) return errno.badf;
      memory.fill(pointer, 64, "the status of a file", (range) => range.fill(0));
      return errno.success;
    },

    fd_close: (fd: number): number => (descriptors.delete(fd) ? errno.success : errno.badf),

    fd_renumber(from: number, to: number): number {
      const descriptor = descriptors.get(from);
      if (descriptor === undefined || !descriptors.has(to)) return errno.badf;
      descriptors.delete(from);
      descriptors.set(to, descriptor);
      return errno.success;
    },
  };
}

interface Range {
  readonly start: number;
  readonly size: number;
}

/** All are checked before the first is used, so that a refused call has had no effect. */
function ioVectors(memory: GuestMemory, pointer: number, count: number): Range[] {
  const first = memory.range(pointer, (count >>> 0) * 8, "the list of buffers");
  const ranges: Range[] = [];
  for (let at = first; at < first + (count >>> 0) * 8; at += 8) {
    const size = memory.u32(at + 4);
    ranges.push({ start: memory.range(memory.u32(at), size, "a buffer"), size });
  }
  return ranges;
}

/** A copy of the first `size` bytes of those ranges, in a row. */
function gather(memory: GuestMemory, ranges: readonly Range[], size: number): Uint8Array {
  const [first] = ranges;
  if (first !== undefined && first.size >= size) return memory.read(first.start, size, "a buffer");
  const gathered = new Uint8Array(size);
  let filled = 0;
  for (const range of ranges) {
    const bytes = memory.read(range.start, Math.min(range.size, size - filled), "a buffer");
    gathered.set(bytes, filled);
    filled += bytes.length;
  }
  return gathered;
}

function rightsOf(descriptor: Descriptor): bigint {
  const direction = descriptor.source === undefined ? rights.fdWrite : rights.fdRead;
  return direction | rights.fdstatSetFlags | rights.filestatGet | rights.pollReadWrite;
}
