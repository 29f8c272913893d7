import { expect, test } from "vitest";
import { addressClass } from "../../src/capabilities/http/addresses.ts";
import { refusal } from "../../src/capabilities/http/connect.ts";

test.each(["@.?", "x@::1", "::1]/#", ".", "", "::1%eth0]@evil", "1.2.3", "[::1]", "::ffff:1.2.3.4.5", "\0"])(
  "R14.4: an answer of a name server that is no address, %j, leads nowhere",
  (text) => {
    expect(addressClass(text)).toBe("never");
    expect(refusal([text], "a.example", { allowPrivate: true })).toMatchObject({ code: "PERMISSION_DENIED" });
  },
);
