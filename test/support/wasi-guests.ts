import { watModule } from "./wat.ts";

const types: Readonly<Record<string, string>> = {
  args_get: "i32 i32",
  args_sizes_get: "i32 i32",
  environ_get: "i32 i32",
  environ_sizes_get: "i32 i32",
  clock_res_get: "i32 i32",
  clock_time_get: "i32 i64 i32",
  fd_close: "i32",
  fd_fdstat_get: "i32 i32",
  fd_prestat_get: "i32 i32",
  fd_read: "i32 i32 i32 i32",
  fd_renumber: "i32 i32",
  fd_seek: "i32 i64 i32 i32",
  fd_write: "i32 i32 i32 i32",
  path_open: "i32 i32 i32 i32 i32 i64 i64 i32 i32",
  poll_oneoff: "i32 i32 i32 i32",
  random_get: "i32 i32",
  sock_send: "i32 i32 i32 i32 i32",
};

/**
 * A WASI guest with these fields that imports the named functions as `$name`, and `proc_exit`. At address 0 lies a
 * list of one buffer: 4,096 bytes at 1,024; results go to address 8.
 */
export function wasiGuest(names: readonly string[], fields: string): WebAssembly.Module {
  const imports = names.map(
    (name) =>
      `(import "wasi_snapshot_preview1" "${name}" (func $${name} (param ${types[name]}) (result i32)))`,
  );
  return watModule(`(module ${imports.join("\n")}
    (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\\00\\04\\00\\00\\00\\10\\00\\00")
    ${fields})`);
}

/** Reads stdin once into the buffer, and writes what it read to that descriptor. */
export function copyStdinTo(fd: number): string {
  return `(drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
    (i32.store (i32.const 4) (i32.load (i32.const 8)))
    (drop (call $fd_write (i32.const ${fd}) (i32.const 0) (i32.const 1) (i32.const 8)))
    (i32.store (i32.const 4) (i32.const 4096))`;
}

/** Writes `length` bytes at `pointer` to that descriptor. */
export function write(fd: number, pointer: number, length: number): string {
  return `(i32.store (i32.const 16) (i32.const ${pointer})) (i32.store (i32.const 20) (i32.const ${length}))
    (drop (call $fd_write (i32.const ${fd}) (i32.const 16) (i32.const 1) (i32.const 24)))`;
}
