/**
 * Text of others on somebody's terminal: colours may pass, everything else that a terminal obeys may not (ECMA-48; the
 * 8-bit forms, too, and marks that turn the direction of what follows).
 */

const ESC = '\u001b'
const BEL = '\u0007'
/** The 8-bit forms of string openers, of their end and of `ESC [`. */
const [STRING_OPENERS, STRING_END, CSI] = ['\u0090\u0098\u009d\u009e\u009f', '\u009c', '\u009b']
/** Titles, links and the like, with what they hold. */
const STRINGS = new RegExp(`(?:${ESC}[P\\]X^_]|[${STRING_OPENERS}])[^]*?(?:${BEL}|${ESC}\\\\|${STRING_END}|$)`, 'g')
const SEQUENCES = new RegExp(`(?:${ESC}\\[|${CSI})([0-?]*)[ -/]*([@-~]?)|${ESC}[ -/]*[0-~]?`, 'g')
const COLORS = new RegExp(`${ESC}\\[[\\d;:]*m`, 'g')
const COLOR_PARAMETERS = /^[\d;:]*$/
const STRAY_ESCAPES = new RegExp(`${ESC}(?!\\[[\\d;:]*m)`, 'g')
const OTHER_CONTROLS = new RegExp(`(?![\t${ESC}])\\p{Cc}|[\u200e\u200f\u202a-\u202e\u2066-\u2069]`, 'gu')

/** One line without anything a terminal obeys but colours. A tab stays. */
export function cleanLine(line: string): string {
  return overwritten(line)
    .replace(STRINGS, '')
    .replace(SEQUENCES, (_all, parameters: string | undefined, final: string | undefined) =>
      final === 'm' && COLOR_PARAMETERS.test(parameters ?? '') ? `${ESC}[${parameters ?? ''}m` : '',
    )
    .replace(OTHER_CONTROLS, '')
    .replace(STRAY_ESCAPES, '')
}

/** Of a line that was begun again and again, as progress bars do, what is to be seen in the end. */
function overwritten(line: string): string {
  const parts = line.split('\r')
  return parts.findLast((part) => part !== '') ?? ''
}

const TAB = 8

/** With blanks for tabs, so that its width is known; colours end with it. */
export function displayLine(line: string, colors: boolean): string {
  let column = 0
  const clean = cleanLine(line)
  const spaced = clean.includes('\t')
    ? clean
        .split('\t')
        .map((part, index, all) => {
          column += part.replace(COLORS, '').length
          const blanks = index === all.length - 1 ? 0 : TAB - (column % TAB)
          column += blanks
          return part + ' '.repeat(blanks)
        })
        .join('')
    : clean
  if (!colors) return spaced.replace(COLORS, '')
  return spaced.includes(ESC) ? `${spaced}${ESC}[0m` : spaced
}
