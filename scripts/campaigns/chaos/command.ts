import { spawn } from "node:child_process";

/** Runs a program to its end, with that input; rejects with what it wrote to stderr. */
export function runCommand(program: string, args: readonly string[], input = ""): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...args], { stdio: ["pipe", "pipe", "pipe"] });
    let output = "";
    let complaint = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (complaint += chunk.toString()));
    child.once("error", reject);
    child.once("close", (code) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${program} ${args.join(" ")}: ${complaint.trim() || `exit code ${code}`}`));
    });
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
  });
}
