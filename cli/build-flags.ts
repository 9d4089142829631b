import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { type Command, Option } from 'commander'
import type { BuildRequest } from '#buildkit-lite'
import { environmentValue } from '#host/config'
import { UsageError } from './exit-codes.ts'

/** `slipway build`'s flags as commander reads them. */
export interface BuildFlags {
  file?: string
  tag: string[]
  target?: string
  buildArg: string[]
  buildContext: string[]
  label: string[]
  secret: string[]
  addHost: string[]
  output: string[]
  /** False for `--no-cache`. */
  cache: boolean
  pull: boolean
  push: boolean
  quiet: boolean
  network: BuildRequest['network']
  platform?: string
  iidfile?: string
  metadataFile?: string
  progress: 'auto' | 'plain' | 'tty' | 'rawjson'
}

/** Known to users of `docker build`; refused in words until they work. */
const LATER = [
  '--annotation <value>',
  '--no-cache-filter <stages>',
  '--ssh <value>',
  '--shm-size <bytes>',
  '--ulimit <value>',
  '--cache-from <value>',
  '--cache-to <value>',
  '--call <method>',
  '--check',
]

const collect = (value: string, previous: string[]): string[] => [...previous, value]

export function addBuildFlags(command: Command): Command {
  command
    .option('-f, --file <path>', 'the Dockerfile (default CONTEXT/Dockerfile; - is standard input)')
    .option('-t, --tag <name>', 'name of the image, repeatable', collect, [])
    .option('--target <stage>', 'the stage to build')
    .option('--build-arg <name=value>', 'value of an ARG; NAME alone takes the environment’s', collect, [])
    .option(
      '--build-context <name=place>',
      'a further context: a directory, oci-layout://DIR|TAR, docker-image://NAME',
      collect,
      [],
    )
    .option('--label <name=value>', 'label of the image', collect, [])
    .option('--secret <id=…,src=…|env=…>', 'a secret for RUN --mount=type=secret', collect, [])
    .option('--add-host <name:ip>', 'a line of /etc/hosts', collect, [])
    .option(
      '-o, --output <type=…,dest=…>',
      'oci, docker, tar, local, registry or image; a path alone is local',
      collect,
      [],
    )
  return addSwitches(command)
}

function addSwitches(command: Command): Command {
  command
    .option('--no-cache', 'run every step again')
    .option('--pull', 'look for newer base images', false)
    .option('--push', 'push the image under its names', false)
    .option('-q, --quiet', 'print the image’s digest only', false)
    .option('--platform <os/arch>', 'platform to build for')
    .option('--iidfile <path>', 'write the config’s digest to a file')
    .option('--metadata-file <path>', 'write the digests as JSON')
    .addOption(new Option('--network <mode>', 'network of RUN').choices(['default', 'none', 'host']).default('default'))
    .addOption(
      new Option('--progress <form>', 'form of the log').choices(['auto', 'plain', 'tty', 'rawjson']).default('auto'),
    )
  for (const flags of LATER) command.addOption(new Option(flags).hideHelp().argParser(() => refuse(flags)))
  command.on('option:check', () => refuse('--check'))
  return command
}

function refuse(flags: string): never {
  throw new UsageError(`${flags.split(' ')[0]} is not supported yet`)
}

/** `NAME=value` pairs; a name alone has the environment's value, or is left out where there is none. */
export function readPairs(flag: string, pairs: readonly string[]): Record<string, string> {
  const read: Record<string, string> = {}
  for (const pair of pairs) {
    const equals = pair.indexOf('=')
    const name = equals < 0 ? pair : pair.slice(0, equals)
    if (name === '') throw new UsageError(`${flag} "${pair}" has no name`)
    const value = equals >= 0 ? pair.slice(equals + 1) : flag === '--build-arg' ? environmentValue(name) : ''
    if (value !== undefined) read[name] = value
  }
  return read
}

/** `a=b,c=d` as an object. */
export function readFields(text: string): Record<string, string> {
  return Object.fromEntries(
    text.split(',').map((field) => {
      const equals = field.indexOf('=')
      return equals < 0 ? [field, ''] : [field.slice(0, equals), field.slice(equals + 1)]
    }),
  )
}

const MAX_SECRET_BYTES = 500 * 1024

export async function readSecrets(flags: readonly string[]): Promise<Record<string, Buffer>> {
  const secrets: Record<string, Buffer> = {}
  for (const flag of flags) {
    const fields = readFields(flag)
    const path = fields['src'] ?? fields['source']
    const id = fields['id'] || (path ? basename(path) : fields['env'])
    if (!id) throw new UsageError(`--secret "${flag}" has no id`)
    const variable = fields['env'] ?? (path === undefined ? id : undefined)
    const value = path === undefined ? environmentValue(variable ?? '') : await readSecretFile(path)
    if (value === undefined) throw new UsageError(`--secret ${id}: the environment has no ${variable}`)
    secrets[id] = Buffer.from(value)
    if (secrets[id].length > MAX_SECRET_BYTES)
      throw new UsageError(`--secret ${id} has more than ${MAX_SECRET_BYTES} bytes`)
  }
  return secrets
}

async function readSecretFile(path: string): Promise<Buffer> {
  return await readFile(path).catch((error: unknown) => {
    throw new UsageError(`--secret file ${path} cannot be read: ${String(error)}`)
  })
}

export function readHosts(flags: readonly string[]): { name: string; address: string }[] {
  return flags.map((flag) => {
    const [, name, address] = /^([^:=\s]+)[:=]\[?([0-9a-fA-F.:]+)\]?$/.exec(flag) ?? []
    if (!name || !address) throw new UsageError(`--add-host "${flag}" is not NAME:IP`)
    return { name, address }
  })
}
