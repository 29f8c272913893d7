import { refusingClass } from "./refusing-class.ts";

/** Source: https://github.com/WebAssembly/wasi-filesystem, `wit/types.wit`. */
const descriptorFunctions = [
  "readViaStream",
  "writeViaStream",
  "appendViaStream",
  "advise",
  "syncData",
  "getFlags",
  "getType",
  "setSize",
  "setTimes",
  "read",
  "write",
  "readDirectory",
  "sync",
  "createDirectoryAt",
  "stat",
  "statAt",
  "setTimesAt",
  "linkAt",
  "openAt",
  "readlinkAt",
  "removeDirectoryAt",
  "renameAt",
  "symlinkAt",
  "unlinkFileAt",
  "isSameObject",
  "metadataHash",
  "metadataHashAt",
];

const interfaces = {
  "wasi:filesystem/preopens": { getDirectories: (): [] => [] },
  "wasi:filesystem/types": {
    Descriptor: refusingClass(descriptorFunctions, "access"),
    DirectoryEntryStream: refusingClass(["readDirectoryEntry"], "access"),
    filesystemErrorCode: () => undefined,
  },
};

/**
 * `wasi:filesystem`: there is no directory to begin with, and nothing else leads to a descriptor. Most programs import
 * it and never use it.
 */
export function filesystemInterfaces() {
  return interfaces;
}
