import moleculer from "moleculer";

/** A broker as its documentation shows it: NATS, JSON, and everything else in its defaults, without log output. */
export function createBroker(url, nodeID) {
  return new moleculer.ServiceBroker({
    nodeID,
    logger: false,
    transporter: { type: "NATS", options: { url } },
    serializer: "JSON",
  });
}
