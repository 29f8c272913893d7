import type { GuestMemory } from "./guest-memory.ts";
import { errno } from "./wasi-errno.ts";
import type { WasiWorld } from "./wasi-world.ts";

/** Arguments and environment: both are lists of strings that the guest asks the size of, and then the bytes. */
export function argumentFunctions(memory: GuestMemory, world: WasiWorld) {
  const args = stringList(memory, () => world.args);
  const environment = stringList(memory, () =>
    Object.entries(world.environment).map(([name, value]) => `${name}=${value}`),
  );
  return {
    args_get: args.get,
    args_sizes_get: args.sizes,
    environ_get: environment.get,
    environ_sizes_get: environment.sizes,
  };
}

function stringList(memory: GuestMemory, strings: () => readonly string[]) {
  let encoded: Buffer[] | undefined;
  const list = () => (encoded ??= strings().map(terminated));
  const byteLength = () => list().reduce((sum, bytes) => sum + bytes.length, 0);

  return {
    sizes: (countPointer: number, sizePointer: number): number => {
      memory.range(sizePointer, 4, "a result");
      memory.setU32(countPointer, list().length);
      memory.setU32(sizePointer, byteLength());
      return errno.success;
    },
    get: (pointers: number, bytes: number): number => {
      memory.range(bytes, byteLength(), "the strings");
      const start = memory.range(pointers, list().length * 4, "the list of strings");
      let next = bytes >>> 0;
      for (const [index, text] of list().entries()) {
        memory.setU32(start + index * 4, next);
        memory.write(next, text, "a string");
        next += text.length;
      }
      return errno.success;
    },
  };
}

/** C strings end at the first NUL; one inside would let a value pass for two. */
function terminated(text: string): Buffer {
  return Buffer.from(`${text.replaceAll("\0", "")}\0`);
}
