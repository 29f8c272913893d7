/** "Bad ports" of the Fetch standard (fetch.spec.whatwg.org/#port-blocking): servers of other, textual protocols. */
const badPorts = [
  0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104,
  109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515,
  526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049,
  3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
];

/**
 * Assigned to databases, queues and our own bus. Some of them read line by line and go on after what they do not
 * understand, so that the body of a request becomes their commands.
 */
const storePorts = [
  // SMB, SQL Server, Oracle, MySQL, RDP, PostgreSQL, VNC
  445, 1433, 1521, 3306, 3389, 5432, 5900,
  // MQTT, NATS, XMPP, AMQP, Kafka
  1883, 8883, 4222, 6222, 7422, 8222, 5222, 5672, 9092,
  // ZooKeeper, etcd, Redis, Cassandra, memcached, MongoDB
  2181, 2379, 2380, 6379, 26379, 9042, 11211, 27017,
];

const refused = new Set([...badPorts, ...storePorts]);

/** Whether no request goes to that port, whatever is granted. */
export function isRefusedPort(port: number): boolean {
  return refused.has(port);
}
