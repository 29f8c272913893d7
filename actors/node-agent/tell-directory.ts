import type { Directory } from "../../src/directory/directory.ts";
import type { Speaker } from "../../src/lattice/speaker.ts";

/** Has in the directory what the facts of this node say of itself and its providers; nothing of its instances. */
export function tellDirectory(speaker: Speaker, directory: Directory): () => void {
  const { nodeId, epoch } = speaker;
  return speaker.onFact(({ kind, data }) => {
    if (kind === "node.joined" || kind === "node.labelled") {
      const { joined } = speaker.own();
      if (joined === undefined) return;
      const { hostname, labels, productVersion } = joined;
      directory.putNode({ nodeId, epoch, hostname, labels, productVersion });
    } else if (kind === "provider.available") {
      const { provider, providerType, backend, version } = data;
      directory.putProvider({ provider, nodeId, providerType, backend, version });
    } else if (kind === "provider.stopped" || kind === "provider.failed")
      directory.removeProvider(data.provider, nodeId);
  });
}
