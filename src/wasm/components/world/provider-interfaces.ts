import type { HostInterface } from "./interfaces.ts";

const kv = (permissions: Readonly<Record<string, string>>): HostInterface => ({
  suspending: Object.keys(permissions),
  providerType: "kv",
  permissions,
});

/** The rows of `hostInterfaces` behind which a provider stands: each call that asks it may wait. */
export const providerInterfaces: readonly (readonly [string, HostInterface])[] = [
  [
    "wasi:keyvalue/store",
    kv({
      "[method]bucket.get": "kv:read",
      "[method]bucket.set": "kv:write",
      "[method]bucket.delete": "kv:delete",
      "[method]bucket.exists": "kv:read",
      "[method]bucket.list-keys": "kv:read",
    }),
  ],
  [
    "wasi:keyvalue/atomics",
    kv({
      increment: "kv:write",
      swap: "kv:write",
      "[static]cas.new": "kv:read",
      "[static]cas.new-with-read": "kv:read",
      "[method]cas.current": "kv:read",
    }),
  ],
  ["wasi:keyvalue/batch", kv({ "get-many": "kv:read", "set-many": "kv:write", "delete-many": "kv:delete" })],
  ["wasmcloud:messaging/types", { suspending: [] }],
  [
    "wasmcloud:messaging/consumer",
    {
      suspending: ["publish", "request"],
      providerType: "messaging",
      permissions: { publish: "msg:publish:<topic>", request: "msg:publish:<topic>" },
    },
  ],
  ["wasi:blobstore/types", blobTypes()],
  [
    "wasi:blobstore/blobstore",
    blob({
      "create-container": "blob:write",
      "get-container": "blob:read",
      "delete-container": "blob:delete",
      "container-exists": "blob:read",
      "copy-object": "blob:write",
      "move-object": "blob:delete",
    }),
  ],
  [
    "wasi:blobstore/container",
    blob({
      "[method]container.info": "blob:read",
      "[method]container.get-data": "blob:read",
      "[method]container.write-data": "blob:write",
      "[method]container.list-objects": "blob:read",
      "[method]container.delete-object": "blob:delete",
      "[method]container.delete-objects": "blob:delete",
      "[method]container.has-object": "blob:read",
      "[method]container.object-info": "blob:read",
      "[method]container.clear": "blob:delete",
      "[method]stream-object-names.read-stream-object-names": "blob:read",
      "[method]stream-object-names.skip-stream-object-names": "blob:read",
    }),
  ],
];

function blob(permissions: Readonly<Record<string, string>>): HostInterface {
  return { suspending: Object.keys(permissions), providerType: "blobstore", permissions };
}

/** Values are streams of a transfer that was permitted before. */
function blobTypes(): HostInterface {
  return {
    suspending: ["[static]outgoing-value.finish", "[static]incoming-value.incoming-value-consume-sync"],
  };
}
