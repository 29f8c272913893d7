import loadWabt from "wabt";

const wabt = await loadWabt();

/** The binary of a module in the text format, with its names. Throws on a mistake in the text. */
export function wat(text: string): Uint8Array<ArrayBuffer> {
  const module = wabt.parseWat("test.wat", text, {
    exceptions: true,
    bulk_memory: true,
    mutable_globals: true,
  });
  try {
    module.resolveNames();
    module.validate();
    return new Uint8Array(module.toBinary({ write_debug_names: true }).buffer);
  } finally {
    module.destroy();
  }
}

/** The compiled module of a text. */
export function watModule(text: string): WebAssembly.Module {
  return new WebAssembly.Module(wat(text));
}
