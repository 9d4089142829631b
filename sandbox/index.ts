export type * from './contract.ts'
export { openSandbox } from './open-sandbox.ts'
export { ProgramError } from './runc/runc-log.ts'
export { sandboxWrapper } from './wrapper.ts'
