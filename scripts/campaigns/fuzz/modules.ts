import { readFileSync } from "node:fs";
import fc from "fast-check";
import { program } from "../../../test/support/random-program.ts";
import { wat } from "../../../test/support/wat.ts";
import { buildExamples } from "../../build-examples.ts";
import { type Edit, edit, edited } from "./bytes.ts";

const built = await buildExamples();
const read = (path: string) => new Uint8Array(readFileSync(path));
const isComponent = (bytes: Uint8Array) => bytes[6] === 1;
const examples = Object.values(built).map(({ path }) => read(path));

const wapcText = `(module
  (import "wapc" "__guest_request" (func $request (param i32 i32)))
  (import "wapc" "__guest_response" (func $response (param i32 i32)))
  (import "wapc" "__host_call" (func $host_call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (type $unary (func (param i32) (result i32)))
  (memory (export "memory") 1 2)
  (table $t 4 9 funcref)
  (global $g (mut i32) (i32.const 3))
  (tag $e (param i32))
  (func $half (type $unary) (i32.shr_u (local.get 0) (i32.const 1)))
  (func $bulk (memory.copy (i32.const 0) (i32.const 64) (i32.const 9))
    (table.set $t (i32.const 3) (ref.func $half)) (memory.init $d (i32.const 1) (i32.const 0) (i32.const 2)))
  (func (export "__guest_call") (param $op i32) (param $len i32) (result i32) (local $i i32) (local f64 i64)
    (call $request (i32.const 0) (i32.const 1024))
    (call $bulk)
    (loop $next
      (local.set $i (i32.add (local.get $i) (i32.const 5)))
      (block $b (block $a (br_table $a $b (local.get $i))) (global.set $g (local.get $i)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 20))))
    (block $caught (result i32) (try (result i32) (do (throw $e (i32.const 2))) (catch $e)))
    (drop)
    (drop (memory.grow (i32.const 1)))
    (call $response (i32.const 1024) (local.get $len))
    (call_indirect (type $unary) (global.get $g) (i32.const 1)))
  (elem (i32.const 0) $half $half)
  (data (i32.const 0) "\\00\\01\\02")
  (data $d "passive"))`;

const wasiText = `(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 64)))
    (call $exit (i32.const 0)))
  (data (i32.const 0) "\\10\\00\\00\\00\\20\\00\\00\\00"))`;

/** Core modules that are admitted as they are: a hand-written one of each kind, and the examples below 20 KB. */
export const coreModules: readonly Uint8Array[] = [
  wat(wapcText),
  wat(wapcText),
  wat(wasiText),
  ...examples.filter((bytes) => !isComponent(bytes) && bytes.length < 20_000),
];

/** Components that are admitted as they are. */
export const components: readonly Uint8Array[] = examples.filter(isComponent);

/** What is done to a module as a whole: its sections are swapped, doubled, dropped, or lie about their length. */
interface SectionEdit {
  readonly kind: "swap" | "double" | "drop" | "lie";
  readonly which: number;
  readonly other: number;
}

const sectionEdit: fc.Arbitrary<SectionEdit> = fc.record({
  kind: fc.constantFrom("swap", "double", "drop", "lie"),
  which: fc.nat({ max: 40 }),
  other: fc.nat({ max: 40 }),
});

/** Mutations of these modules, of random programs, and noise behind a right header. */
export function mutationsOf(modules: readonly Uint8Array[], withPrograms: boolean): fc.Arbitrary<Uint8Array> {
  const mutated = fc
    .record({
      which: fc.nat({ max: modules.length - 1 }),
      other: fc.nat({ max: modules.length - 1 }),
      sections: fc.array(sectionEdit, { maxLength: 1 }),
      edits: fc.array(edit, { maxLength: 3 }),
    })
    .map(({ which, other, sections, edits }) =>
      mutatedModule(modules[which] as Uint8Array, modules[other] as Uint8Array, sections, edits),
    );
  const header = (modules[0] as Uint8Array).subarray(0, 8);
  const noise = fc.uint8Array({ maxLength: 120 }).map((bytes) => Uint8Array.of(...header, ...bytes));
  // Printing a text as a binary takes a millisecond, so a few programs must do for many cases.
  const programs = withPrograms ? fc.sample(program, { numRuns: 60, seed: 4 }).map((text) => wat(text)) : [];
  const random = fc
    .tuple(fc.nat({ max: Math.max(0, programs.length - 1) }), fc.array(edit, { maxLength: 3 }))
    .map(([which, edits]) => edited(programs[which] as Uint8Array, edits, programs[0], 8));
  return fc.oneof(
    { weight: 6, arbitrary: mutated },
    { weight: 1, arbitrary: noise },
    ...(withPrograms ? [{ weight: 3, arbitrary: random }] : []),
  );
}

function mutatedModule(
  bytes: Uint8Array,
  other: Uint8Array,
  sectionEdits: readonly SectionEdit[],
  edits: readonly Edit[],
): Uint8Array {
  let sections = sectionsOf(bytes);
  const others = sectionsOf(other);
  for (const { kind, which, other: second } of sectionEdits) {
    const at = which % Math.max(1, sections.length);
    const section = sections[at];
    if (section === undefined) continue;
    if (kind === "swap") sections = sections.with(at, others[second % Math.max(1, others.length)] ?? section);
    else if (kind === "double") sections = sections.toSpliced(second % (sections.length + 1), 0, section);
    else if (kind === "drop") sections = sections.toSpliced(at, 1);
    else
      sections = sections.with(at, edited(section, [{ kind: "number", at: 0, value: second }], section, 1));
  }
  return edited(new Uint8Array(Buffer.concat([bytes.subarray(0, 8), ...sections])), edits, other, 8);
}

/** The sections of a binary that is whole, each with its number and its length. */
function sectionsOf(bytes: Uint8Array): Uint8Array[] {
  const sections: Uint8Array[] = [];
  for (let at = 8; at < bytes.length;) {
    let length = 0;
    let behind = at + 1;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[behind++] ?? 0;
      length += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    sections.push(bytes.subarray(at, behind + length));
    at = behind + length;
  }
  return sections;
}
