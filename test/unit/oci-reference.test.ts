import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Failure } from "../../src/protocol/errors.ts";
import { isOciReference, parseOciReference, pinnedReference } from "../../src/protocol/oci-reference.ts";

const digest = `sha256:${"0a".repeat(32)}`;

describe("a reference", () => {
  test.each([
    ["ghcr.io/acme/echo:v1", "ghcr.io", "acme/echo", "v1"],
    ["oci://ghcr.io/acme/echo:v1", "ghcr.io", "acme/echo", "v1"],
    ["localhost:5000/echo", "localhost:5000", "echo", "latest"],
    ["[::1]:5000/a/b__c/d-e:1.0_x", "[::1]:5000", "a/b__c/d-e", "1.0_x"],
    [`r.example/echo@${digest}`, "r.example", "echo", digest],
    [`r.example/echo:v1@${digest}`, "r.example", "echo", digest],
  ])("%s is read", (text, registry, repository, version) => {
    expect(parseOciReference(text)).toEqual({ registry, repository, version });
  });

  test.each([
    "",
    "echo",
    "/echo:v1",
    "r.example/",
    "r.example/Echo:v1",
    "r.example/../etc:v1",
    "r.example/a//b",
    "r.example/a:",
    "r.example/a:b:c",
    "r.example/a@sha256:0a",
    `r.example/a@${digest}@${digest}`,
    "r.example:99999/a",
    "user:pw@r.example/a",
    "r.example/a?x=1",
    "r.exa mple/a",
    "http://r.example/a:b",
    `r.example/${"a".repeat(600)}`,
  ])("%s is refused, with what one looks like", (text) => {
    expect(() => parseOciReference(text)).toThrow(Failure);
    expect(() => parseOciReference(text)).toThrow(
      expect.objectContaining({ code: "INVALID_REQUEST", fix: expect.stringContaining("oci://") }) as Error,
    );
  });

  test("P16: whatever is read means the same once it is pinned, and nothing that is read leads out of its path", () => {
    const part = fc.stringMatching(/^[a-z0-9]{1,4}([._-][a-z0-9]{1,3})?$/);
    const text = fc
      .tuple(
        fc.constantFrom("r.example", "localhost:5000", "127.0.0.1"),
        fc.array(part, { minLength: 1, maxLength: 4 }),
      )
      .map(([registry, parts]) => `${registry}/${parts.join("/")}`);
    fc.assert(
      fc.property(
        fc.oneof(
          text,
          fc.string(),
          text.chain((one) => fc.string().map((tail) => one + tail)),
        ),
        (given) => {
          if (!isOciReference(given)) return;
          const parsed = parseOciReference(given);
          expect(parseOciReference(pinnedReference(parsed, digest))).toEqual({ ...parsed, version: digest });
          const path = `/v2/${parsed.repository}/manifests/${parsed.version}`;
          expect(new URL(path, `https://${parsed.registry}`).pathname).toBe(path);
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
