/** Sections by the number that stands before them in the binary. */
export const sectionId = {
  custom: 0,
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  memory: 5,
  global: 6,
  export: 7,
  start: 8,
  element: 9,
  code: 10,
  data: 11,
  dataCount: 12,
  tag: 13,
} as const;

/**
 * The order in which sections must come; custom ones may stand anywhere. Source: WebAssembly core
 * specification 3.0, "Binary Format: Modules": numbers were given out in the order of invention.
 */
export const sectionOrder: readonly number[] = [
  sectionId.type,
  sectionId.import,
  sectionId.function,
  sectionId.table,
  sectionId.memory,
  sectionId.tag,
  sectionId.global,
  sectionId.export,
  sectionId.start,
  sectionId.element,
  sectionId.dataCount,
  sectionId.code,
  sectionId.data,
];

/** The name of a section for messages: `code section`. */
export function sectionName(id: number): string {
  const name = Object.entries(sectionId).find(([, number]) => number === id)?.[0];
  return `${name ?? "unknown"} section`;
}
