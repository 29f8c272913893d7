import { componentHttpLimits } from "../../../limits.ts";
import type { ComponentHost } from "./component-host.ts";
import {
  type Field,
  type FieldList,
  type HeaderError,
  fieldOf,
  fitsMessage,
  isToken,
} from "./http-field-list.ts";

/** Makes fields of the class that the guest of this world knows. */
export type NewFields = (list: FieldList, isMutable: boolean) => Fields;

/** `wasi:http/types` fields. Changes and their refusals are header-errors, thrown as they are. */
export class Fields {
  readonly #host: ComponentHost;
  readonly #release: () => void;
  readonly #isMutable: boolean;
  readonly #newFields: NewFields;
  #list: FieldList;

  constructor(host: ComponentHost, newFields: NewFields, list: FieldList, isMutable: boolean) {
    this.#host = host;
    this.#newFields = newFields;
    this.#list = list;
    this.#isMutable = isMutable;
    this.#release = host.hold(() => {});
  }

  /** The values of a name, none where there is no such field. */
  get(name: string): Uint8Array[] {
    const key = name.toLowerCase();
    this.#host.pay(this.#list.length);
    return this.#list.filter((one) => one.key === key).map(({ value }) => value);
  }

  has(name: string): boolean {
    const key = name.toLowerCase();
    this.#host.pay(this.#list.length);
    return this.#list.some((one) => one.key === key);
  }

  /** Replaces all values of a name. */
  set(name: string, values: readonly Uint8Array[]): void {
    this.#change(name, (key) => [
      ...this.#list.filter((one) => one.key !== key),
      ...fieldsOf(values.map((value) => [name, value])),
    ]);
  }

  delete(name: string): void {
    this.#change(name, (key) => this.#list.filter((one) => one.key !== key));
  }

  append(name: string, value: Uint8Array): void {
    this.#change(name, () => [...this.#list, ...fieldsOf([[name, value]])]);
  }

  /** Names as they were written, in the order in which they were set. */
  entries(): [string, Uint8Array][] {
    this.#host.pay(this.#list.length);
    return this.#list.map(({ name, value }) => [name, value]);
  }

  /** A copy that can be changed. */
  clone(): Fields {
    return this.#newFields(this.#list, true);
  }

  /** What is in it, for a message that takes it over: the guest holds it no more. It has no way to this. */
  static take(fields: Fields): FieldList {
    fields.#release();
    return fields.#list;
  }

  [Symbol.dispose](): void {
    this.#release();
  }

  #change(name: string, change: (key: string) => FieldList): void {
    if (!this.#isMutable) throw refusal("immutable");
    if (!isToken(name, componentHttpLimits.fieldNameBytesMax)) throw refusal("invalid-syntax");
    this.#host.pay(this.#list.length);
    const list = change(name.toLowerCase());
    if (!fitsMessage(list)) throw refusal("forbidden");
    this.#list = list;
  }
}

/**
 * Copies of a guest's fields. Throws a header-error for the first that cannot be, and `forbidden` where they are more
 * than a message may have: the interface has no word of its own for that.
 */
export function fieldsOf(entries: readonly (readonly [string, Uint8Array])[]): Field[] {
  const { fieldsBytesMax, fieldOverheadBytes } = componentHttpLimits;
  if (entries.length > fieldsBytesMax / fieldOverheadBytes) throw refusal("forbidden");
  const list: Field[] = [];
  for (const [name, value] of entries) {
    if (value.length > fieldsBytesMax) throw refusal("forbidden");
    const field = fieldOf(name, value.slice());
    if ("tag" in field) throw field;
    list.push(field);
  }
  if (!fitsMessage(list)) throw refusal("forbidden");
  return list;
}

function refusal(tag: HeaderError["tag"]): HeaderError {
  return { tag };
}
