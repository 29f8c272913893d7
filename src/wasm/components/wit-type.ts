/** Types without parts, by their names in WIT. */
export type PrimitiveKind =
  | "bool"
  | "s8"
  | "u8"
  | "s16"
  | "u16"
  | "s32"
  | "u32"
  | "s64"
  | "u64"
  | "f32"
  | "f64"
  | "char"
  | "string";

/**
 * A type of a component's interface. Types refer to each other and share parts, so that what is small in the binary
 * can be huge written out: walk along a value, never along a type alone.
 */
export type WitType =
  | { readonly kind: PrimitiveKind }
  | { readonly kind: "list" | "option"; readonly of: WitType }
  | { readonly kind: "tuple"; readonly of: readonly WitType[] }
  | { readonly kind: "record"; readonly fields: readonly NamedType[] }
  | { readonly kind: "variant"; readonly cases: readonly WitCase[] }
  | { readonly kind: "enum" | "flags"; readonly names: readonly string[] }
  | { readonly kind: "result"; readonly ok?: WitType; readonly err?: WitType }
  /** A handle; it means nothing outside its component. */
  | { readonly kind: "resource" };

/** A field of a record, or a parameter. */
export interface NamedType {
  readonly name: string;
  readonly type: WitType;
}

/** A case of a variant. */
export interface WitCase {
  readonly name: string;
  readonly type?: WitType;
}

/** The type of a function of a component. */
export interface WitFunction {
  readonly parameters: readonly NamedType[];
  readonly result?: WitType;
}

/** An interface as a component imports or exports it: its functions by their WIT names, `[method]bucket.get` too. */
export interface WitInterface {
  /** As the component says it, with its version: `wasi:keyvalue/store@0.2.0-draft`. */
  readonly name: string;
  readonly functions: ReadonlyMap<string, WitFunction>;
  /** Whether it has a resource of its own. */
  readonly hasResources: boolean;
}

/** The name of an interface without its version. */
export function unversioned(name: string): string {
  const at = name.indexOf("@");
  return at < 0 ? name : name.slice(0, at);
}
