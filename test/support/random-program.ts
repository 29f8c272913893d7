import fc from "fast-check";

/** Functions of a program; each calls only those before it, so that every program ends. */
const functionCount = 3;
const locals = ["$a", "$b", "$c"];

/**
 * WebAssembly text of a program that ends: `run (param i32 i32) (result i32)` computes with nested loops, blocks,
 * branch tables, calls, memory and exceptions, and may trap. The text stays the same for the same choices.
 */
export const program: fc.Arbitrary<string> = fc
  .array(fc.tuple(statements(3), expression(3)), { minLength: functionCount, maxLength: functionCount })
  .map((functions) => {
    const texts = functions.map(([code, result], index) => {
      const callable = (text: string) =>
        text.replaceAll("(call $any", index === 0 ? "(i32.sub" : `(call $f${index - 1}`);
      return `(func $f${index} (param $a i32) (param $b i32) (result i32) (local $c i32) ${counters}
        ${callable(code)}
        ${callable(result)})`;
    });
    return `(module (memory (export "memory") 1 3) (tag $t (param i32))
      (global $g (export "g") (mut i32) (i32.const 7))
      (table funcref (elem ${texts.map((_, index) => `$f${index}`).join(" ")}))
      ${texts.join("\n")}
      (export "run" (func $f${functionCount - 1})))`;
  });

/** Counters of loops: one per depth of statements, which loops set anew whenever they are entered. */
const counters = "(local $n0 i32) (local $n1 i32) (local $n2 i32) (local $n3 i32)";

function expression(depth: number): fc.Arbitrary<string> {
  const leaf = fc.oneof(
    fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }).map((value) => `(i32.const ${value})`),
    fc.constantFrom(...locals).map((local) => `(local.get ${local})`),
    fc.constantFrom("(global.get $g)", "(memory.size)"),
  );
  if (depth === 0) return leaf;
  const deeper = expression(depth - 1);
  const operator = fc.constantFrom("add", "sub", "mul", "xor", "shl", "rotr", "lt_s", "div_s", "rem_u");
  return fc.oneof(
    { weight: 2, arbitrary: leaf },
    fc.tuple(operator, deeper, deeper).map(([name, x, y]) => `(i32.${name} ${x} ${y})`),
    deeper.map((x) => `(i32.load offset=4 (i32.and ${x} (i32.const 0xffff)))`),
    fc.tuple(deeper, deeper, deeper).map(([x, y, z]) => `(select ${x} ${y} ${z})`),
    fc.tuple(deeper, deeper).map(([x, y]) => `(call $any ${x} ${y})`),
    deeper.map((x) => `(i32.wrap_i64 (i64.mul (i64.extend_i32_s ${x}) (i64.const 0x123456789abcdef)))`),
    deeper.map((x) => `(i32.trunc_sat_f64_s (f64.sqrt (f64.convert_i32_u ${x})))`),
    deeper.map((x) => `(memory.grow (i32.and ${x} (i32.const 1)))`),
    fc.tuple(deeper, deeper).map(([x, y]) => `(if (result i32) ${x} (then ${y}) (else (i32.const 3)))`),
  );
}

function statements(depth: number): fc.Arbitrary<string> {
  return fc.array(statement(depth), { maxLength: 3 }).map((texts) => texts.join("\n"));
}

function statement(depth: number): fc.Arbitrary<string> {
  const value = expression(2);
  const simple = fc.oneof(
    fc.tuple(fc.constantFrom(...locals), value).map(([local, x]) => `(local.set ${local} ${x})`),
    value.map((x) => `(global.set $g ${x})`),
    fc.tuple(value, value).map(([x, y]) => `(i32.store (i32.and ${x} (i32.const 0xffff)) ${y})`),
    value.map((x) => `(memory.fill (i32.const 64) ${x} (i32.const 100))`),
  );
  if (depth === 0) return simple;
  const inner = statements(depth - 1);
  return fc.oneof(
    { weight: 3, arbitrary: simple },
    fc.tuple(inner, fc.integer({ min: 1, max: 5 }), value).map(
      ([code, turns, x]) => `(local.set $n${depth} (i32.const ${turns}))
        (block $out (loop $again ${code}
          (br_if $out (i32.eqz (i32.and ${x} (i32.const 7))))
          (local.set $n${depth} (i32.sub (local.get $n${depth}) (i32.const 1)))
          (br_if $again (local.get $n${depth}))))`,
    ),
    fc
      .tuple(value, inner, inner)
      .map(
        ([x, one, other]) =>
          `(block $p (block $q (block $r (br_table $p $q $r $q ${x})) ${one} (br $p)) ${other})`,
      ),
    fc.tuple(value, inner, inner).map(([x, yes, no]) => `(if ${x} (then ${yes}) (else ${no}))`),
    fc.tuple(inner, value, value).map(
      ([code, x, y]) =>
        `(local.set $c (block $caught (result i32) (try (result i32)
          (do ${code} (if ${x} (then (throw $t ${y}))) (i32.const 11)) (catch $t))))`,
    ),
  );
}
