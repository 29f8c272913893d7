import { fileURLToPath } from "node:url";

/** The command line as it is shipped. */
export const program = fileURLToPath(new URL("../../bin/wasmatrix", import.meta.url));
