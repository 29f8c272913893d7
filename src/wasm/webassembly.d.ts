/**
 * The part of the WebAssembly JavaScript API that the product uses. TypeScript declares it in "dom" alone, which
 * would bring thousands of names that Node does not have, and knows nothing of JSPI
 * (https://webassembly.github.io/spec/js-api/, https://github.com/WebAssembly/js-promise-integration).
 */
declare namespace WebAssembly {
  type ExternKind = "function" | "global" | "memory" | "table" | "tag";
  type ValueType = "i32" | "i64" | "f32" | "f64" | "v128" | "externref" | "anyfunc";
  // A function of any signature: what a guest passes and what it takes back is known to the module alone.
  // oxlint-disable-next-line typescript/no-explicit-any
  type GuestFunction = (...args: any[]) => any;
  type ImportValue = GuestFunction | Suspending | Global | Memory | Table;
  type Imports = Record<string, Record<string, ImportValue>>;
  type ExportValue = GuestFunction | Global | Memory | Table;

  interface ExportDescriptor {
    readonly name: string;
    readonly kind: ExternKind;
  }

  interface ImportDescriptor {
    readonly module: string;
    readonly name: string;
    readonly kind: ExternKind;
  }

  class Module {
    constructor(bytes: Uint8Array | ArrayBuffer);
    static imports(module: Module): ImportDescriptor[];
    static exports(module: Module): ExportDescriptor[];
    static customSections(module: Module, name: string): ArrayBuffer[];
  }

  class Instance {
    constructor(module: Module, imports?: Imports);
    readonly exports: Readonly<Record<string, ExportValue>>;
  }

  class Memory {
    constructor(descriptor: { initial: number; maximum?: number });
    /** A new object after each growth; the old one is detached and has length 0. */
    readonly buffer: ArrayBuffer;
    /** The size before, in pages of 64 KiB. Throws a RangeError beyond the maximum. */
    grow(pages: number): number;
  }

  class Table {
    constructor(descriptor: { element: "anyfunc" | "externref"; initial: number; maximum?: number });
    readonly length: number;
    get(index: number): unknown;
    set(index: number, value?: unknown): void;
    grow(entries: number, value?: unknown): number;
  }

  class Global<Value = unknown> {
    constructor(descriptor: { value: ValueType; mutable?: boolean }, value?: Value);
    value: Value;
  }

  /** An import that suspends the guest until the returned promise settles; a rejection is thrown into the guest. */
  class Suspending {
    constructor(run: GuestFunction);
  }

  /** An exported function as one that answers with a promise, so that imports below it may suspend. */
  function promising<Args extends unknown[], Result>(
    exported: (...args: Args) => Result,
  ): (...args: Args) => Promise<Result>;

  class CompileError extends Error {}
  class LinkError extends Error {}
  /** A trap. */
  class RuntimeError extends Error {}
  /** A suspending import was reached with no `promising` entry below it. */
  class SuspendError extends Error {}
  /** An exception that the guest threw itself; it is no `Error`. */
  class Exception {
    private constructor();
  }

  function validate(bytes: Uint8Array | ArrayBuffer): boolean;
  function compile(bytes: Uint8Array | ArrayBuffer): Promise<Module>;
}
