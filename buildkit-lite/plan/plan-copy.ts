import { posix } from 'node:path'
import { SyntaxFault } from '../dockerfile/errors.ts'
import { heredocBody } from '../dockerfile/heredoc.ts'
import type { CopyInstruction } from '../dockerfile/instruction.ts'
import { badMode, isModeChange } from '../solver/chmod.ts'
import type { CopyOperation, CopyOrigin, CopySource } from './plan.ts'
import { readRemoteSource, remoteKind } from './remote-source.ts'
import type { Turn } from './stage-builder.ts'
import { addHistory } from './stage-state.ts'

/** Plans COPY and ADD. */
export function planCopy(turn: Turn, instruction: CopyInstruction): void {
  const { state, expander } = turn
  const { kind } = instruction
  const paths = instruction.sources.map(expander.word)
  const named = kind === 'COPY' ? paths.map(localSource) : addedSources(turn, instruction, paths)
  const destination = expander.word(instruction.destination)
  const chown = instruction.chown === null ? null : expander.word(instruction.chown)
  const chmod = instruction.chmod === null ? null : expander.word(instruction.chmod)
  if (chmod !== null) checkMode(chmod)
  const sources: CopySource[] = [...named, ...inlineSources(turn, instruction)]
  const step = turn.addStep({
    kind: 'copy',
    input: state.fileSystem,
    from: originOf(turn, instruction),
    sources,
    destination: absoluteDestination(state.config.WorkingDir || '/', destination),
    chown: chown === '' ? null : chown,
    chmod: chmod === '' ? null : chmod,
    // With both flags the files are copied in the ordinary way, as in other builders.
    link: instruction.link && !chmod,
    parents: instruction.parents,
    exclude: instruction.exclude,
    unpack: unpackingOf(instruction),
  })
  const flags = [
    instruction.parents ? '--parents' : '',
    chown ? `--chown=${chown}` : '',
    chmod ? `--chmod=${chmod}` : '',
  ].filter((flag) => flag !== '')
  const names = [...paths, ...instruction.heredocs.map((heredoc) => `<<${heredoc.name}`)]
  addHistory(state, `${[kind, ...flags, ...names, destination].join(' ')} # buildkit`, step)
}

function unpackingOf({ kind, unpack }: CopyInstruction): CopyOperation['unpack'] {
  if (kind === 'COPY' || unpack === false) return 'never'
  return unpack === true ? 'always' : 'local'
}

function originOf(turn: Turn, instruction: CopyInstruction): CopyOrigin {
  const { context, stage } = turn
  if (instruction.from === null) return { kind: 'context', name: null }
  return context.originOf(context.findFrom(instruction.from, stage, true))
}

/** In an unquoted body variables are expanded, and quotes are ordinary characters. */
function inlineSources(turn: Turn, instruction: CopyInstruction): CopySource[] {
  return instruction.heredocs.map((heredoc) => {
    const body = heredocBody(heredoc)
    const options = { escape: '\\', literalQuotes: true }
    const content = heredoc.expands ? turn.read(body, turn.state.env, options).text : body
    return { kind: 'inline', name: heredoc.name, content }
  })
}

function localSource(path: string): CopySource {
  const what = remoteKind(path)
  if (what !== null) throw new SyntaxFault(`source can't be a ${what} for COPY`)
  return { kind: 'path', path }
}

/** A checksum says what one source has to be, which a local one needs nobody to say. */
function addedSources(turn: Turn, instruction: CopyInstruction, paths: readonly string[]): CopySource[] {
  const checksum = instruction.checksum === null ? null : turn.expander.word(instruction.checksum)
  const flags = { checksum: checksum === '' ? null : checksum, keepGitDir: instruction.keepGitDir }
  const sources = paths.map((path): CopySource => readRemoteSource(path, flags) ?? { kind: 'path', path })
  if (flags.checksum === null) return sources
  if (sources.length + instruction.heredocs.length !== 1)
    throw new SyntaxFault("checksum can't be specified for multiple sources")
  if (sources.some((source) => source.kind === 'path'))
    throw new SyntaxFault('checksum requires HTTP(S) or Git sources')
  return sources
}

function checkMode(mode: string): void {
  if (mode !== '' && !isModeChange(mode)) throw new SyntaxFault(badMode(mode))
}

/** The destination beneath the root; what says "a directory" keeps its trailing slash. */
function absoluteDestination(workingDir: string, destination: string): string {
  const clean = posix.resolve('/', workingDir, destination)
  const directory = destination === '' || destination === '.' || /\/\.?$/.test(destination)
  return directory && clean !== '/' ? `${clean}/` : clean
}
