/** Hands its payload through one part of the guest SDK and answers what came out: how the SDK itself is tested. */
import { fail, register } from "../assemblyscript/guest";
import { config, hostCall, hostError } from "../assemblyscript/host";
import { Kv } from "../assemblyscript/kv";
import { log } from "../assemblyscript/log";
import { MessagePackReader } from "../assemblyscript/message-pack-reader";
import { MessagePackWriter } from "../assemblyscript/message-pack-writer";
import { bytes, text } from "../assemblyscript/text";

export { __guest_call } from "../assemblyscript/guest";

const store = new Kv("store");
const PAGE_KEYS = 2;

export function wapc_init(): void {
  register("int", int);
  register("str", str);
  register("bin", bin);
  register("bool", boolOrNil);
  register("second", second);
  register("config", configOf);
  register("refused", refused);
  register("log", logPayload);
  register("throw", throwPayload);
  register("garbage", garbage);
  register("get", get);
  register("set", set);
  register("delete", remove);
  register("exists", exists);
  register("increment", increment);
  register("list", list);
}

function int(payload: Uint8Array): Uint8Array {
  const reader = new MessagePackReader(payload);
  return written(reader, new MessagePackWriter().int(reader.int()));
}

function str(payload: Uint8Array): Uint8Array {
  const reader = new MessagePackReader(payload);
  return written(reader, new MessagePackWriter().str(reader.str()));
}

function bin(payload: Uint8Array): Uint8Array {
  const reader = new MessagePackReader(payload);
  return written(reader, new MessagePackWriter().bin(reader.bin()));
}

function boolOrNil(payload: Uint8Array): Uint8Array {
  const reader = new MessagePackReader(payload);
  if (reader.nil()) return written(reader, new MessagePackWriter().nil());
  return written(reader, new MessagePackWriter().bool(reader.bool()));
}

/** Payload: an array of anything and a str; answers an array of that str alone. */
function second(payload: Uint8Array): Uint8Array {
  const reader = new MessagePackReader(payload);
  reader.array();
  reader.skip();
  return written(reader, new MessagePackWriter().array(1).str(reader.str()));
}

function written(reader: MessagePackReader, writer: MessagePackWriter): Uint8Array {
  return reader.ok ? writer.finish() : fail("not readable");
}

function configOf(payload: Uint8Array): Uint8Array {
  const value = config(text(payload));
  return value === null ? fail("not set") : bytes(value);
}

function refused(payload: Uint8Array): Uint8Array {
  const answer = hostCall("nobody", "kv", "get", payload);
  return answer === null ? bytes(hostError()) : answer;
}

function logPayload(payload: Uint8Array): Uint8Array {
  log(text(payload));
  return payload;
}

function throwPayload(payload: Uint8Array): Uint8Array {
  throw new Error(text(payload));
}

/** Leaves about a megabyte of objects behind that nothing refers to. */
function garbage(payload: Uint8Array): Uint8Array {
  for (let turn = 0; turn < 1_000; turn++) payload = new Uint8Array(1_000);
  return payload;
}

function get(payload: Uint8Array): Uint8Array {
  const value = store.get(text(payload));
  return answered(value === null ? bytes("(none)") : value);
}

/** Payload: `key=value`. */
function set(payload: Uint8Array): Uint8Array {
  const parts = text(payload).split("=");
  store.set(parts[0], bytes(parts[1]));
  return answered(payload);
}

function remove(payload: Uint8Array): Uint8Array {
  return answered(bytes(store.delete(text(payload)).toString()));
}

function exists(payload: Uint8Array): Uint8Array {
  return answered(bytes(store.exists(text(payload)).toString()));
}

/** Payload: `key=by`. */
function increment(payload: Uint8Array): Uint8Array {
  const parts = text(payload).split("=");
  return answered(bytes(store.increment(parts[0], I64.parseInt(parts[1])).toString()));
}

/** Payload: a prefix; answers the keys, page by page: `a b|c d|e`. */
function list(payload: Uint8Array): Uint8Array {
  const pages: string[] = [];
  let after: string | null = "";
  while (after !== null) {
    const page = store.list(text(payload), PAGE_KEYS, after);
    pages.push(page.keys.join(" "));
    after = page.next;
  }
  return answered(bytes(pages.join("|")));
}

function answered(answer: Uint8Array): Uint8Array {
  const error = store.error;
  return error === null ? answer : fail(error);
}
