import { isIPv6 } from "node:net";
import ipaddr from "ipaddr.js";

/**
 * `public`: one host of the Internet. `private`: this machine or the network around it, metadata services of clouds
 * among them. `never`: what is not one host at all, or hides one in a way that nobody needs any more.
 */
export type AddressClass = "public" | "private" | "never";

const privateRanges = new Set(["loopback", "private", "linkLocal", "carrierGradeNat", "uniqueLocal"]);

/** The only IPv6 prefix that is handed out (RFC 4291, 2.4); ipaddr.js takes what it does not know for unicast. */
const globalUnicast = ipaddr.IPv6.parse("2000::");

/** NAT64's well-known prefix (RFC 6052): the one way to IPv4 from a network without it. */
const nat64 = ipaddr.IPv6.parse("64:ff9b::");

/** Azure's host answers its guests at this address, which looks like any other (learn.microsoft.com, 168.63.129.16). */
const azureHost = "168.63.129.16";

/** Where an IP address leads; `never` for a text that is none. */
export function addressClass(text: string): AddressClass {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return classOfV4(ipaddr.IPv4.parse(text));
  // Else the text could hold the end of the brackets below, and a host behind it.
  if (!isIPv6(text)) return "never";
  const [withoutZone = ""] = text.split("%");
  // In hexadecimal, for ipaddr.js takes `::1.2.3.4` for `::ffff:1.2.3.4`, which is another address.
  const v6 = ipaddr.IPv6.parse(new URL(`http://[${withoutZone}]/`).hostname.slice(1, -1));
  if (v6.isIPv4MappedAddress() || v6.match(nat64, 96)) {
    return classOfV4(new ipaddr.IPv4(v6.toByteArray().slice(12)));
  }
  const found = classOfRange(v6.range());
  return found === "public" && !v6.match(globalUnicast, 3) ? "never" : found;
}

function classOfV4(address: ipaddr.IPv4): AddressClass {
  return address.toString() === azureHost ? "private" : classOfRange(address.range());
}

function classOfRange(range: string): AddressClass {
  if (range === "unicast") return "public";
  return privateRanges.has(range) ? "private" : "never";
}
