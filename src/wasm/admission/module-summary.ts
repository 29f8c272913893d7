import type { FunctionType } from "./value-types.ts";

/** What an import or export can be. */
export type ExternalKind = "function" | "table" | "memory" | "global" | "tag";

/** Something that a module asks of its host. */
export interface ModuleImport {
  readonly module: string;
  readonly name: string;
  readonly kind: ExternalKind;
  /** Of functions. */
  readonly type?: FunctionType;
}

/** Something that a module offers to its host. */
export interface ModuleExport {
  readonly name: string;
  readonly kind: ExternalKind;
  /** Among all of its kind, imported ones first. */
  readonly index: number;
  /** Of functions. */
  readonly type?: FunctionType;
}

/** A table of the module's own, in elements. */
export interface ModuleTable {
  readonly elementType: "funcref" | "externref";
  readonly min: number;
  readonly max?: number;
}

/** Where the contents of a section lie. */
export interface SectionSpan {
  readonly id: number;
  /** Offset of the first byte of the contents. */
  readonly start: number;
  /** Offset behind the last byte of the contents. */
  readonly end: number;
}

/** What a core module says of itself, read without the engine. */
export interface ModuleSummary {
  readonly types: readonly FunctionType[];
  readonly imports: readonly ModuleImport[];
  readonly exports: readonly ModuleExport[];
  /** The one memory, in pages of 64 KiB. */
  readonly memory?: { readonly minPages: number; readonly maxPages?: number };
  /** The module's own tables; imported ones are among the imports. */
  readonly tables: readonly ModuleTable[];
  readonly importedFunctions: number;
  readonly definedFunctions: number;
  readonly importedGlobals: number;
  readonly definedGlobals: number;
  readonly dataSegments: number;
  readonly elementSegments: number;
  /** Index of the function that runs when the module is instantiated. */
  readonly startFunction?: number;
  /** Whether it has a usable name section, so that traps will name functions. */
  readonly hasNames: boolean;
  /** In the order of the binary; a name may come more than once. */
  readonly customSections: readonly string[];
  /** Every section, in the order of the binary. */
  readonly sections: readonly SectionSpan[];
}
