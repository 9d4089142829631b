import { locate, SyntaxFault } from '../dockerfile/errors.ts'
import { expand } from '../dockerfile/expand.ts'
import type { ArgInstruction, CopyInstruction } from '../dockerfile/instruction.ts'
import type { ParsedStage } from '../dockerfile/parse.ts'
import type { RemoteCopySource } from '../remote/remote-sources.ts'
import type { PlanInput } from './plan-input.ts'
import { readRemoteSource } from './remote-source.ts'

/** The one remote source that a stage consists of: what SOURCE_DATE_EPOCH may take its time from. */
export function readDatedSource(
  input: PlanInput,
  stage: ParsedStage,
  variables: Map<string, string>,
): RemoteCopySource {
  const { escape } = input.dockerfile.directives
  const word = (text: string) => expand(text, variables, { escape }).text
  return locate(input.dockerfile.source, stage, () => {
    if (word(stage.from.image) !== 'scratch') throw new SyntaxFault('SOURCE_DATE_EPOCH stage must use FROM scratch')
    let added: RemoteCopySource | null = null
    for (const { instruction } of stage.instructions) {
      if (instruction.kind === 'ARG') takeArgs(instruction, { variables, word, buildArgs: input.buildArgs })
      else if (instruction.kind !== 'ADD') {
        throw new SyntaxFault(
          `SOURCE_DATE_EPOCH stage does not meet source-only requirements: unsupported ${instruction.kind} instruction`,
        )
      } else if (added) throw new SyntaxFault(ONE)
      else added = remoteSource(instruction, word)
    }
    if (!added) throw new SyntaxFault(ONE)
    return added
  })
}

const ONE = 'SOURCE_DATE_EPOCH stage must contain exactly one remote ADD'

interface Values {
  variables: Map<string, string>
  word: (text: string) => string
  buildArgs: Readonly<Record<string, string>>
}

function takeArgs({ args }: ArgInstruction, { variables, word, buildArgs }: Values): void {
  for (const { name, value } of args) {
    if (Object.hasOwn(buildArgs, name)) variables.set(name, buildArgs[name] ?? '')
    else if (value !== null) variables.set(name, word(value))
  }
}

function remoteSource(add: CopyInstruction, word: (text: string) => string): RemoteCopySource {
  const [source, ...more] = add.sources
  if (source === undefined || more.length > 0 || add.heredocs.length > 0) throw new SyntaxFault(`${ONE} source`)
  const checksum = add.checksum === null ? null : word(add.checksum)
  const read = readRemoteSource(word(source), { checksum, keepGitDir: add.keepGitDir })
  if (read?.kind === 'http' || read?.kind === 'git') return read
  throw new SyntaxFault('SOURCE_DATE_EPOCH stage source must be a single HTTP(S) or Git ADD')
}
