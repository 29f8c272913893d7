import { randomFillSync } from "node:crypto";
import { guestTalkLimits } from "../../limits.ts";
import { GuestExit } from "./guest.ts";
import type { GuestLife } from "./guest-life.ts";
import { OutsideMemory } from "./guest-memory.ts";
import { argumentFunctions } from "./wasi-arguments.ts";
import { clockFunctions } from "./wasi-clocks.ts";
import { errno } from "./wasi-errno.ts";
import { standardDescriptors, streamFunctions } from "./wasi-streams.ts";
import type { Descriptors } from "./wasi-streams.ts";
import type { WasiWorld } from "./wasi-world.ts";

/**
 * All 46 functions of `wasi_snapshot_preview1`
 * (https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md). There are three descriptors, no
 * directories and no sockets. A pointer outside the guest's memory gives EFAULT; nothing is thrown but `GuestExit`
 * by `proc_exit`, and what ends the guest: no fuel, or a rejected `sleep`.
 */
export function wasiImports(life: GuestLife, world: WasiWorld): Record<string, WebAssembly.ImportValue> {
  const descriptors = standardDescriptors(world);
  const functions = {
    ...argumentFunctions(life.memory, world),
    ...clockFunctions(life, world, descriptors),
    ...streamFunctions(life, descriptors),
    ...refusals(descriptors),
    ...processFunctions(life),
  };
  const imports: Record<string, WebAssembly.ImportValue> = {};
  for (const [name, run] of Object.entries(functions)) {
    const answering = guarded(life, run);
    imports[name] = name === "poll_oneoff" ? new WebAssembly.Suspending(answering) : answering;
  }
  return imports;
}

function processFunctions(life: GuestLife) {
  return {
    proc_exit(code: number): never {
      throw new GuestExit(code >>> 0);
    },
    proc_raise: (): number => errno.nosys,
    random_get(pointer: number, length: number): number {
      if (length >>> 0 > guestTalkLimits.randomBytesMax) return errno.inval;
      life.memory.range(pointer, length, "a buffer");
      life.payBytes(length);
      life.memory.fill(pointer, length, "a buffer", (range) => randomFillSync(range));
      return errno.success;
    },
  };
}

/** What a world of three streams says to files, directories and sockets. */
function refusals(descriptors: Descriptors) {
  /** That error for an open descriptor, EBADF for any other. */
  const openGives = (error: number) => (fd: number) => (descriptors.has(fd) ? error : errno.badf);
  const noPosition = openGives(errno.spipe);
  const noFile = openGives(errno.inval);
  const noDirectory = openGives(errno.notcapable);
  const noSocket = openGives(errno.notsock);
  return {
    fd_advise: noPosition,
    fd_allocate: noPosition,
    fd_datasync: noFile,
    fd_fdstat_set_rights: openGives(errno.notsup),
    fd_filestat_set_size: noFile,
    fd_filestat_set_times: openGives(errno.notsup),
    fd_pread: noPosition,
    fd_prestat_get: (): number => errno.badf,
    fd_prestat_dir_name: (): number => errno.badf,
    fd_pwrite: noPosition,
    fd_readdir: openGives(errno.notdir),
    fd_seek: noPosition,
    fd_sync: noFile,
    fd_tell: noPosition,
    path_create_directory: noDirectory,
    path_filestat_get: noDirectory,
    path_filestat_set_times: noDirectory,
    path_link: noDirectory,
    path_open: noDirectory,
    path_readlink: noDirectory,
    path_remove_directory: noDirectory,
    path_rename: noDirectory,
    // The one path function whose first argument is a string and whose descriptor is the third.
    path_symlink: (_from: number, _length: number, fd: number): number => noDirectory(fd),
    path_unlink_file: noDirectory,
    sock_accept: noSocket,
    sock_recv: noSocket,
    sock_send: noSocket,
    sock_shutdown: noSocket,
  };
}

/** Every function pays first, and tells the guest of a bad pointer instead of ending it. */
function guarded<Args extends never[], Result>(
  life: GuestLife,
  run: (...args: Args) => Result,
): (...args: Args) => Result | number {
  return (...args) => {
    life.payCall();
    try {
      return run(...args);
    } catch (error) {
      if (error instanceof OutsideMemory) return errno.fault;
      throw error;
    }
  };
}
