import { BlockList, isIP } from 'node:net'

/**
 * Where a webhook may go. Whoever declares a feed names an address that Muster then connects to from within its own network: without
 * limits that would be a way to what only Muster can reach.
 * - In the clear only to this machine; everything else through TLS.
 * - Never to link-local addresses (there clouds answer with credentials), nor to what is no address of one machine.
 * - To private addresses only where the declaration says so itself: by the address, or by a name that cannot be a public one. A public name
 *   that leads to a private address is somebody's trick or mistake: whoever keeps its zone decides where it leads, and may change it any time.
 */

const lists = (ipv4: readonly [string, number][], ipv6: readonly [string, number][]): BlockList => {
  const list = new BlockList()
  for (const [net, prefix] of ipv4) list.addSubnet(net, prefix, 'ipv4')
  for (const [net, prefix] of ipv6) list.addSubnet(net, prefix, 'ipv6')
  return list
}

const LOOPBACK = lists([['127.0.0.0', 8]], [['::1', 128]])
/** RFC 1918, 6598 and 4193: networks of somebody's own. */
const PRIVATE = lists([['10.0.0.0', 8], ['172.16.0.0', 12], ['192.168.0.0', 16], ['100.64.0.0', 10]], [['fc00::', 7]])
/** All of IPv6 that was ever given out for machines in public. What lies outside of it, and is not private, is special one way or another. */
const PUBLIC_IPV6 = lists([], [['2000::', 3]])
/**
 * IANA's registries of special addresses, and where clouds answer questions about themselves outside of these. IPv6 that holds an IPv4 address
 * within (6to4, Teredo; NAT64 and the like lie outside of PUBLIC_IPV6) would lead around the others.
 */
const NEVER = lists(
  [
    ['0.0.0.0', 8], ['169.254.0.0', 16], ['192.0.0.0', 24], ['192.0.2.0', 24], ['192.88.99.0', 24], ['198.18.0.0', 15], ['198.51.100.0', 24], ['203.0.113.0', 24], ['224.0.0.0', 3],
    ['100.100.100.200', 32],
  ],
  [['2001::', 23], ['2001:db8::', 32], ['2002::', 16], ['3fff::', 20], ['fd00:ec2::254', 128]],
)

/** RFC 6761, 6762, 8375, and ICANN's decision on .internal (2024): no public name ends so. */
const OWN_NAMES = /(?:^|\.)(?:localhost|local|internal|home\.arpa)$/

/** The host of a URL as addresses and names are written elsewhere: without the brackets of IPv6 and a closing dot. */
export const hostOf = (url: URL): string => url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')

const within = (list: BlockList, address: string): boolean => list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
const isSpecial = (address: string): boolean => isIP(address) === 6 && ![PUBLIC_IPV6, PRIVATE, LOOPBACK].some((list) => within(list, address))
const isLocalName = (host: string): boolean => host === 'localhost' || host.endsWith('.localhost')

/** What is wrong with a webhook's URL before anybody is asked where its name leads; null: nothing. */
export function faultOfUrl(url: URL): string | null {
  const host = hostOf(url)
  const loopback = isLocalName(host) || (isIP(host) !== 0 && within(LOOPBACK, host))
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && loopback)) return 'the address is not https'
  // It is kept, and shown, in the clear.
  if (url.username !== '' || url.password !== '') return 'the address holds a user name or a password'
  return isIP(host) === 0 ? null : faultOfAddress(host, host)
}

/**
 * What is wrong with connecting to an address that a host of a URL leads to; null: nothing. Pure.
 * @param host a name, or the address itself
 * @param address IPv4 or IPv6
 */
export function faultOfAddress(host: string, address: string): string | null {
  const literal = isIP(host) !== 0
  if (within(NEVER, address) || isSpecial(address)) return `${address} is no address that is connected to`
  if (within(LOOPBACK, address)) return literal || isLocalName(host) ? null : `${host} leads to this machine (${address})`
  if (within(PRIVATE, address)) return literal || OWN_NAMES.test(host.toLowerCase()) ? null : `${host} leads into a private network (${address})`
  return null
}
