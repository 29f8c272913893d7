import { moduleLimits } from "../../limits.ts";
import { invalidModule, overLimit } from "./invalid-module.ts";

/** Bytes of magic number, version and layer. */
export const headerBytes = 8;

const magic = [0x00, 0x61, 0x73, 0x6d];

/** Beginnings of what people send by mistake. */
const lookalikes: readonly (readonly [beginning: readonly number[], what: string, fix: string])[] = [
  [[0x7f, 0x45, 0x4c, 0x46], "an ELF binary", "Compile for a wasm32 target, not for the host machine."],
  [[0xcf, 0xfa, 0xed, 0xfe], "a Mach-O binary", "Compile for a wasm32 target, not for the host machine."],
  [[0x4d, 0x5a], "a Windows executable", "Compile for a wasm32 target, not for the host machine."],
  [[0x1f, 0x8b], "gzip data", "Decompress it first."],
  [[0x28, 0xb5, 0x2f, 0xfd], "zstd data", "Decompress it first."],
  [[0x50, 0x4b, 0x03, 0x04], "a zip archive", "Extract the .wasm file from it."],
  [[0x42, 0x43, 0xc0, 0xde], "LLVM bitcode", "Link it with wasm-ld."],
];

/** Refuses bytes that do not begin like a core module of version 1, and says what they look like instead. */
export function checkHeader(bytes: Uint8Array): void {
  if (bytes.length === 0) {
    throw invalidModule("the module is empty", { fix: "Send the bytes of a .wasm file.", offset: 0 });
  }
  if (bytes.length > moduleLimits.moduleBytesMax) {
    throw overLimit("bytes of the module", bytes.length, moduleLimits.moduleBytesMax, 0);
  }
  if (!startsWith(bytes, magic.slice(0, bytes.length))) throw unlikeModule(bytes);
  if (bytes.length < headerBytes) {
    throw invalidModule(`truncated: a module has at least ${headerBytes} bytes, this has ${bytes.length}`, {
      fix: "Build or transfer the module again; its end is missing.",
      offset: bytes.length,
    });
  }
  checkVersion(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}

function checkVersion(view: DataView): void {
  const version = view.getUint16(4, true);
  const layer = view.getUint16(6, true);
  if (layer === 1) {
    throw invalidModule(`a WebAssembly component of version ${version}, where a core module is expected`, {
      fix: "Build a core module, or a component of WASI 0.2 (version 13), and send it as it was built.",
      version,
      layer,
    });
  }
  if (version !== 1 || layer !== 0) {
    throw invalidModule(`WebAssembly version ${version} of layer ${layer} is unknown`, {
      fix: "Build a core module of version 1.",
      version,
      layer,
    });
  }
}

function unlikeModule(bytes: Uint8Array) {
  const known = lookalikes.find(([beginning]) => startsWith(bytes, beginning));
  if (known !== undefined) return notWebAssembly(known[1], known[2]);
  const start = new TextDecoder("latin1").decode(bytes.subarray(0, 64)).trimStart();
  if (start.startsWith("(")) {
    return notWebAssembly("WebAssembly text", "Turn it into a binary first: `wat2wasm guest.wat`.");
  }
  if (/^[\t\n\r\x20-\x7e]+$/.test(start)) {
    return notWebAssembly("text", "Send the bytes of a .wasm file, not its path, its digest or base64.");
  }
  const first = [...bytes.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  return notWebAssembly(`something that begins with ${first}`, "Send the bytes of a .wasm file.");
}

function notWebAssembly(what: string, fix: string) {
  return invalidModule(`not a WebAssembly module: the bytes look like ${what}`, { fix, offset: 0 });
}

function startsWith(bytes: Uint8Array, beginning: readonly number[]): boolean {
  return bytes.length >= beginning.length && beginning.every((byte, at) => bytes[at] === byte);
}
