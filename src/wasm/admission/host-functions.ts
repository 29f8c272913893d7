import { type FunctionType, signature, type ValueType } from "./value-types.ts";

// Stands first because the tables below are made while this module loads.
const letters: Readonly<Record<string, ValueType>> = { i: "i32", I: "i64", F: "f64" };

/** Types of host functions by name, of one import module. */
export type HostFunctions = ReadonlyMap<string, FunctionType>;

/**
 * The functions of `wasi_snapshot_preview1`. Source: WASI 0.1, `preview1/witx`, lowered to core types; all but
 * `proc_exit` give an error number.
 */
export const wasiFunctions: HostFunctions = hostFunctions({
  args_get: "ii:i",
  args_sizes_get: "ii:i",
  clock_res_get: "ii:i",
  clock_time_get: "iIi:i",
  environ_get: "ii:i",
  environ_sizes_get: "ii:i",
  fd_advise: "iIIi:i",
  fd_allocate: "iII:i",
  fd_close: "i:i",
  fd_datasync: "i:i",
  fd_fdstat_get: "ii:i",
  fd_fdstat_set_flags: "ii:i",
  fd_fdstat_set_rights: "iII:i",
  fd_filestat_get: "ii:i",
  fd_filestat_set_size: "iI:i",
  fd_filestat_set_times: "iIIi:i",
  fd_pread: "iiiIi:i",
  fd_prestat_dir_name: "iii:i",
  fd_prestat_get: "ii:i",
  fd_pwrite: "iiiIi:i",
  fd_read: "iiii:i",
  fd_readdir: "iiiIi:i",
  fd_renumber: "ii:i",
  fd_seek: "iIii:i",
  fd_sync: "i:i",
  fd_tell: "ii:i",
  fd_write: "iiii:i",
  path_create_directory: "iii:i",
  path_filestat_get: "iiiii:i",
  path_filestat_set_times: "iiiiIIi:i",
  path_link: "iiiiiii:i",
  path_open: "iiiiiIIii:i",
  path_readlink: "iiiiii:i",
  path_remove_directory: "iii:i",
  path_rename: "iiiiii:i",
  path_symlink: "iiiii:i",
  path_unlink_file: "iii:i",
  poll_oneoff: "iiii:i",
  proc_exit: "i:",
  proc_raise: "i:i",
  random_get: "ii:i",
  sched_yield: ":i",
  sock_accept: "iii:i",
  sock_recv: "iiiiii:i",
  sock_send: "iiiii:i",
  sock_shutdown: "ii:i",
});

/** The functions of `wapc`. Source: waPC protocol 1.0, "Host Functions". */
export const wapcFunctions: HostFunctions = hostFunctions({
  __guest_request: "ii:",
  __guest_response: "ii:",
  __guest_error: "ii:",
  __host_call: "iiiiiiii:i",
  __host_response: "i:",
  __host_response_len: ":i",
  __host_error: "i:",
  __host_error_len: ":i",
  __console_log: "ii:",
});

/** What AssemblyScript imports from `env` when it is told nothing else. Source: AssemblyScript 0.28, `std/assembly/builtins.ts`. */
export const assemblyScriptFunctions: HostFunctions = hostFunctions({
  abort: "iiii:",
  seed: ":F",
  trace: "iiFFFFF:",
});

/** Name of the WASI import module. */
export const wasiModule = "wasi_snapshot_preview1";

/** Host functions by import module: all that a guest may import, depending on its kind. */
export const hostModules: ReadonlyMap<string, HostFunctions> = new Map([
  ["wapc", wapcFunctions],
  ["env", assemblyScriptFunctions],
  [wasiModule, wasiFunctions],
]);

/** Reads `parameters:results`, one letter per value: i is i32, I is i64, F is f64. */
function hostFunctions(shorthand: Readonly<Record<string, string>>): HostFunctions {
  return new Map(
    Object.entries(shorthand).map(([name, letter]) => {
      const [parameters = "", results = ""] = letter.split(":");
      return [name, { parameters: valueTypesOf(parameters), results: valueTypesOf(results) }];
    }),
  );
}

function valueTypesOf(text: string): ValueType[] {
  return text.split("").map((letter) => letters[letter] as ValueType);
}

/** Whether two functions take and give the same. */
export function sameType(one: FunctionType, other: FunctionType): boolean {
  return signature(one) === signature(other);
}
