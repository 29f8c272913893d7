import fc from "fast-check";
import { checkFilter, checkHeaders, checkQueue, checkSubject } from "../../../../src/bus/names.ts";
import { etcdEndpoints } from "../../../../src/directory/endpoints.ts";
import { nodeIn, nodeKey, nodesPrefix } from "../../../../src/directory/keys.ts";
import { parametersOf, subjectFor } from "../../../../src/protocol/addresses.ts";
import { assertId, echo } from "../../../../src/protocol/ids.ts";
import { parseOciReference, pinnedReference } from "../../../../src/protocol/oci-reference.ts";
import {
  permissionFor,
  permissionProblem,
  permissionSet,
  permissionsOf,
  permitsCall,
  providerTypeOf,
  providerTypes,
} from "../../../../src/protocol/permissions.ts";
import {
  domainProblem,
  domainScope,
  reservedTopic,
  topicProblem,
  topicScope,
} from "../../../../src/protocol/scopes.ts";
import { holds, takenOrRefused } from "../expect.ts";
import { fuzzTarget } from "../target.ts";
import { anyText } from "../words.ts";

const oneWord = /^[\x21-\x7e]+$/;
const types = [...providerTypes(), "clock"];

/** Ids, subjects, headers, references, permissions, topics and domains: what is taken cannot be read another way. */
export const target = fuzzTarget<readonly [string, string, number]>({
  name: "names",
  weight: 2,
  arbitrary: fc.tuple(anyText, anyText, fc.nat({ max: 255 })),
  check([text, other, number]) {
    const asId = takenOrRefused(["INVALID_REQUEST"], () => {
      assertId(text, "instanceId");
      const subject = subjectFor("call", { lattice: "default", target: text, operation: "go" });
      holds(subject.split(".").length === 6 && oneWord.test(subject), `an id made the subject ${subject}`);
      holds(parametersOf("call", subject).target === text, "an id was lost in its subject");
      return nodeKey("default", text);
    });
    if (asId !== undefined) holds(nodeIn(nodesPrefix("default"), asId) === text, "an id was lost in its key");
    holds(
      echo(text).length <= 64 + 40 && /^[\x20-\x7e…]+$/.test(echo(text)),
      "an echo is long or unprintable",
    );
    for (const check of [checkSubject, checkFilter, checkQueue])
      takenOrRefused(["INVALID_REQUEST"], () => {
        check(text);
        holds(oneWord.test(text), "a name that is more than a word was taken");
      });
    takenOrRefused(["INVALID_REQUEST"], () => {
      checkHeaders({ [text]: other });
      holds(!/[\r\n\0]/.test(text + other), "a header with a line of its own was taken");
    });
    takenOrRefused(["INVALID_REQUEST"], () => {
      const read = parseOciReference(text);
      const url = new URL(`https://${read.registry}/v2/${read.repository}/manifests/${read.version}`);
      holds(
        url.pathname.split("/").every((part) => part !== ".."),
        "a reference leads out of its path",
      );
      parseOciReference(pinnedReference(read, `sha256:${"a".repeat(64)}`));
    });
    takenOrRefused(["INVALID_REQUEST"], () => etcdEndpoints(text));
    checkPermissions(text, other, types[number % types.length] ?? "kv");
    checkScopes(text, other);
    return asId !== undefined;
  },
});

function checkPermissions(text: string, other: string, type: string): void {
  providerTypeOf(text);
  permissionsOf(type);
  permissionFor(type, text);
  const problem = permissionProblem(type, text);
  holds(problem === undefined || problem.length < 400, "what is wrong with a permission is told at length");
  const set = permissionSet(type, [text]);
  for (const operation of ["get", "request", "publish", "put-object", other])
    set.missing(operation, () => ({ key: other, url: other, topic: other, keys: [other, 1, null] }));
  if (problem !== undefined) return;
  permitsCall([text], other, "go");
}

function checkScopes(text: string, other: string): void {
  if (topicProblem(text) === undefined) {
    holds(topicScope(text, text), `the topic ${text} does not cover itself`);
    if (topicProblem(other) === undefined) topicScope(text, other);
  }
  reservedTopic(text);
  if (domainProblem(text) === undefined && domainScope(text, other) && text.startsWith("*."))
    holds(other.endsWith(text.slice(1)) && other.length > text.length - 1, `${text} covers ${other}`);
}
