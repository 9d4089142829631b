/**
 * Where what strangers wrote may never connect to: private, link-local, shared, reserved and multicast addresses.
 * https://www.iana.org/assignments/iana-ipv4-special-registry
 */
export const PRIVATE_NETWORKS: readonly string[] = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '224.0.0.0/3',
]

/** Mail is what hijacked builds send. */
export const MAIL_PORTS: readonly number[] = [25, 465, 587]
