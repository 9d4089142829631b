import { SlipwayError } from '#domain/errors'

/** What every command ends with. */
export const EXIT = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const

/** A command line that makes no sense, or asks for what is not there yet. */
export class UsageError extends SlipwayError {
  constructor(message: string) {
    super('invalid', message)
  }
}
