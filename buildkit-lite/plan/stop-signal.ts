import { constants } from 'node:os'
import { SyntaxFault } from '../dockerfile/errors.ts'

/** A signal's name with or without SIG, in any case, a real-time signal, or any number but 0. */
export function checkStopSignal(text: string): void {
  if (/^[+-]?\d+$/.test(text)) {
    if (Number(text) !== 0) return
  } else {
    const name = `SIG${text.toUpperCase().replace(/^SIG/, '')}`
    if (
      Object.hasOwn(constants.signals, name) ||
      // An older name of SIGCHLD.
      name === 'SIGCLD' ||
      /^SIGRTM(?:IN(?:\+(?:[1-9]|1[0-5]))?|AX(?:-(?:[1-9]|1[0-4]))?)$/.test(name)
    )
      return
  }
  throw new SyntaxFault(`invalid signal: ${text}, expected a name like SIGTERM or a number`)
}
