import type { ExternalKind, ModuleExport, ModuleImport, ModuleTable } from "./module-summary.ts";
import type { FunctionType } from "./value-types.ts";

/** A module while its sections are being read. */
export interface ModuleDraft {
  readonly memoryBytesMax: number;
  /** Whether it is a part of a component, whose other parts may give it their memory. */
  readonly isPart: boolean;
  readonly types: FunctionType[];
  readonly imports: ModuleImport[];
  readonly exports: ModuleExport[];
  /** Index of the type of each function, imported ones first. */
  readonly functionTypes: number[];
  readonly tables: ModuleTable[];
  readonly memories: { minPages: number; maxPages?: number }[];
  readonly customSections: string[];
  readonly imported: Record<ExternalKind, number>;
  definedFunctions: number;
  definedGlobals: number;
  definedTags: number;
  elementSegments: number;
  dataSegments: number;
  bodies: number;
  hasNames: boolean;
  dataCount?: number;
  startFunction?: number;
}

/** The draft of a module of which nothing has been read. */
export function newDraft(memoryBytesMax: number, isPart: boolean): ModuleDraft {
  return {
    memoryBytesMax,
    isPart,
    types: [],
    imports: [],
    exports: [],
    functionTypes: [],
    tables: [],
    memories: [],
    customSections: [],
    imported: { function: 0, table: 0, memory: 0, global: 0, tag: 0 },
    definedGlobals: 0,
    definedTags: 0,
    definedFunctions: 0,
    elementSegments: 0,
    dataSegments: 0,
    bodies: 0,
    hasNames: false,
  };
}
