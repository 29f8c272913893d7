import { refusingClass } from "./refusing-class.ts";

/** `wasi:sockets/network` error-code. */
const denied = "access-denied";

const bufferFunctions = [
  "receiveBufferSize",
  "setReceiveBufferSize",
  "sendBufferSize",
  "setSendBufferSize",
  "addressFamily",
  "localAddress",
  "remoteAddress",
  "startBind",
  "finishBind",
  "subscribe",
];

/** Source: https://github.com/WebAssembly/wasi-sockets, `wit/tcp.wit`. */
const tcpFunctions = [
  ...bufferFunctions,
  "startConnect",
  "finishConnect",
  "startListen",
  "finishListen",
  "accept",
  "isListening",
  "setListenBacklogSize",
  "keepAliveEnabled",
  "setKeepAliveEnabled",
  "keepAliveIdleTime",
  "setKeepAliveIdleTime",
  "keepAliveInterval",
  "setKeepAliveInterval",
  "keepAliveCount",
  "setKeepAliveCount",
  "hopLimit",
  "setHopLimit",
  "shutdown",
];

/** Source: the same, `wit/udp.wit`. */
const udpFunctions = [...bufferFunctions, "stream", "unicastHopLimit", "setUnicastHopLimit"];

const refuse = () => {
  throw denied;
};

const Network = refusingClass([], denied);

const interfaces = {
  "wasi:sockets/network": { Network, networkErrorCode: () => undefined },
  "wasi:sockets/instance-network": { instanceNetwork: () => new Network() },
  "wasi:sockets/ip-name-lookup": {
    resolveAddresses: refuse,
    ResolveAddressStream: refusingClass(["resolveNextAddress", "subscribe"], denied),
  },
  "wasi:sockets/tcp": { TcpSocket: refusingClass(tcpFunctions, denied) },
  "wasi:sockets/tcp-create-socket": { createTcpSocket: refuse },
  "wasi:sockets/udp": {
    UdpSocket: refusingClass(udpFunctions, denied),
    IncomingDatagramStream: refusingClass(["receive", "subscribe"], denied),
    OutgoingDatagramStream: refusingClass(["checkSend", "send", "subscribe"], denied),
  },
  "wasi:sockets/udp-create-socket": { createUdpSocket: refuse },
};

/** `wasi:sockets`: every socket and every name is refused, so that nothing leads to what could be done with one. */
export function socketInterfaces() {
  return interfaces;
}
