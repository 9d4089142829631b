export type TarKind = 'file' | 'directory' | 'symlink' | 'hardlink' | 'fifo' | 'character-device' | 'block-device'

/** One member of a tar archive. Paths and link targets are latin1-exact: one character is one byte of the name. */
export interface TarEntry {
  /** Without a trailing slash. Written relative; read as it was in the archive. */
  path: string
  kind: TarKind
  /** Permission, setuid, setgid and sticky bits: 0o7777 at most. */
  mode: number
  uid: number
  gid: number
  /** Of a file's content; 0 for everything else. */
  sizeBytes: number
  /** Whole seconds since 1970, possibly negative. */
  mtimeS: number
  /** Of symlinks: the text. Of hard links: the path of an earlier member. */
  linkTarget: string
  deviceMajor: number
  deviceMinor: number
  xattrs: ReadonlyMap<string, Buffer>
}

export const BLOCK_BYTES = 512

/** The type flag of each kind. https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html (ustar) */
export const TYPE_FLAGS: Record<TarKind, string> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  'character-device': '3',
  'block-device': '4',
  directory: '5',
  fifo: '6',
}

/** PAX record names of extended attributes, as star, GNU tar and Docker write them. */
export const XATTR_RECORD = 'SCHILY.xattr.'

/** https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts */
export const WHITEOUT_PREFIX = '.wh.'
export const OPAQUE_WHITEOUT = '.wh..wh..opq'

/** Bytes that fill the last block of `sizeBytes` of content. */
export function paddingOf(sizeBytes: number): number {
  return (BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES
}
