/** The front door: `wasmatrix …`. The only place, with its commands, that names concrete devices and reads the environment. */
const nodeMajor = Number(process.versions.node.split(".", 1)[0]);
if (nodeMajor < 24) {
  process.stderr.write(
    `wasmatrix needs Node 24 or newer; this is ${process.versions.node}.\n→ Run \`npm install\` in its folder and start it as bin/wasmatrix, which brings its own.\n`,
  );
  process.exit(1);
}
const { run } = await import("./run.ts");
await run(process.argv);
