/**
 * Names of files are bytes. Entries hold them as latin1 strings, one character a byte, so that no name is lost;
 * paths that people write are text. These turn one into the other.
 */

/** A written path as the bytes of a file name. */
export function toBytes(text: string): string {
  return isAscii(text) ? text : Buffer.from(text, 'utf8').toString('latin1')
}

/** The bytes of a file name as text to show or to match character by character. */
export function toText(bytes: string): string {
  return isAscii(bytes) ? bytes : Buffer.from(bytes, 'latin1').toString('utf8')
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0x7f) return false
  return true
}

/** Order of entries: by bytes. What is in `a` then stands together, as all of it begins with `a/`. */
export function compareBytes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
