import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Files of a certificate authority for a test, and of those it vouches for. */
export interface TlsAuthority extends Disposable {
  readonly ca: string;
  /** A certificate and its key: of a server at 127.0.0.1, or of a client. */
  issue(name: string): { readonly cert: string; readonly key: string };
}

/** Makes an authority with `openssl`. */
export function createTlsAuthority(): TlsAuthority {
  const directory = mkdtempSync(join(tmpdir(), "wasmatrix-tls-"));
  const file = (name: string) => join(directory, name);
  const openssl = (...args: string[]) =>
    execFileSync("openssl", args, { stdio: ["ignore", "ignore", "pipe"] });
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const ca = file("ca.pem");
  openssl(
    "req",
    "-x509",
    ...newKey,
    "-keyout",
    file("ca.key"),
    "-out",
    ca,
    "-days",
    "2",
    "-subj",
    "/CN=test ca",
  );
  writeFileSync(file("names"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n");
  return {
    ca,
    issue(name) {
      const [cert, key, request] = [file(`${name}.pem`), file(`${name}.key`), file(`${name}.csr`)];
      openssl("req", ...newKey, "-keyout", key, "-out", request, "-subj", `/CN=${name}`);
      const signed = [
        "-CA",
        ca,
        "-CAkey",
        file("ca.key"),
        "-CAcreateserial",
        "-days",
        "2",
        "-extfile",
        file("names"),
      ];
      openssl("x509", "-req", "-in", request, "-out", cert, ...signed);
      return { cert, key };
    },
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}
