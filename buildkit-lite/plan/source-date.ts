import { SlipwayError } from '#domain/errors'
import { DockerfileError, SyntaxFault } from '../dockerfile/errors.ts'
import type { Scope } from './build-stages.ts'
import { NamedContexts } from './named-contexts.ts'
import type { PlanInput } from './plan-input.ts'
import { readDatedSource } from './source-date-stage.ts'

const NAME = 'SOURCE_DATE_EPOCH'

/**
 * Turns SOURCE_DATE_EPOCH, which is a number of Unix seconds or names what it is to be taken from, into the number for
 * whoever declares it. https://reproducible-builds.org/specs/source-date-epoch/
 */
export async function fixSourceDate(
  input: PlanInput,
  globals: ReadonlyMap<string, string>,
  signal: AbortSignal,
): Promise<Scope> {
  const { buildArgs } = input
  const isGiven = Object.hasOwn(buildArgs, NAME)
  const text = (isGiven ? buildArgs[NAME] : globals.get(NAME)) ?? ''
  const sourceDateEpoch = text === '' ? null : await readPlaced(input, { text, isGiven, globals }, signal)
  const fixed = sourceDateEpoch === null ? [] : [[NAME, String(sourceDateEpoch)] as const]
  const others = Object.entries(buildArgs).filter(([name]) => name !== NAME)
  return {
    globals: globals.has(NAME) ? new Map([...[...globals].filter(([name]) => name !== NAME), ...fixed]) : globals,
    buildArgs: isGiven ? Object.fromEntries([...others, ...fixed]) : buildArgs,
    sourceDateEpoch,
  }
}

interface Written {
  text: string
  isGiven: boolean
  globals: ReadonlyMap<string, string>
}

/** A mistake is shown where the Dockerfile has it; one of the request has no place there. */
async function readPlaced(input: PlanInput, written: Written, signal: AbortSignal): Promise<number | null> {
  const { source, globalArgs } = input.dockerfile
  try {
    return await readSourceDate(input, written, signal)
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error
    const place = globalArgs.findLast(({ instruction }) => instruction.args.some(({ name }) => name === NAME))
    if (written.isGiven || !place) throw new SlipwayError('dockerfile-invalid', error.message, { cause: error })
    throw new DockerfileError(error.message, source, place, { cause: error })
  }
}

async function readSourceDate(
  input: PlanInput,
  { text, globals }: Written,
  signal: AbortSignal,
): Promise<number | null> {
  if (/^[+-]?\d{1,15}$/.test(text)) return Number(text)
  const { timestamps } = input
  if (text === 'context') return timestamps?.ofContext(null) ?? null
  const named = new NamedContexts(input.namedContexts).find(text, input.platform)
  if (named) return named.context.kind === 'context' ? (timestamps?.ofContext(named.key) ?? null) : null
  const stage = input.dockerfile.stages.find(({ from }) => from.name === text.toLowerCase())
  if (!stage) {
    const expected = 'expected Unix seconds, "context", or the name of a context or of a stage'
    throw new SyntaxFault(`invalid ${NAME}: ${text}: ${expected}`)
  }
  const variables = new Map([...globals].filter(([name]) => name !== NAME))
  const dated = readDatedSource(input, stage, variables)
  return (await timestamps?.ofRemote(dated, signal)) ?? null
}
