import { headerBytes } from "../admission/check-header.ts";

/** Magic number, version 0x0d, layer 1. Source: the component model's `Binary.md`. */
const componentHeader = [0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00];

/** Whether bytes begin like a component of WASI 0.2; a core module has layer 0. */
export function isComponent(bytes: Uint8Array): boolean {
  return bytes.length >= headerBytes && componentHeader.every((byte, at) => bytes[at] === byte);
}
