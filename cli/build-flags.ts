import { type Command, Option } from 'commander'

/** `slipway build`'s flags as commander reads them; a flag that may be repeated is a list. */
export interface BuildFlags {
  file?: string
  tag: string[]
  target?: string
  buildArg: string[]
  buildContext: string[]
  label: string[]
  annotation: string[]
  platform: string[]
  secret: string[]
  ssh: string[]
  addHost: string[]
  allow: string[]
  network?: string
  shmSize?: string
  ulimit: string[]
  memory?: string
  memorySwap?: string
  cpuShares?: string
  cpuPeriod?: string
  cpuQuota?: string
  cpusetCpus?: string
  cpusetMems?: string
  cgroupParent?: string
  /** False for `--no-cache`. */
  cache: boolean
  /** The stages of `--no-cache-filter`: commander takes the `no-` of a name away. */
  cacheFilter: string[]
  pull: boolean
  cacheFrom: string[]
  cacheTo: string[]
  push: boolean
  load: boolean
  output: string[]
  iidfile?: string
  metadataFile?: string
  attest: string[]
  provenance?: string
  sbom?: string
  progress?: string
  quiet: boolean
  debug: boolean
  check: boolean
  call?: string
  builder?: string
  squash: boolean
  isolation?: string
  securityOpt: string[]
}

/** Flag, meaning. A flag with `…` at the end of its value may be given several times. */
type Row = readonly [flags: string, help: string]

const GROUPS: Readonly<Record<string, readonly Row[]>> = {
  'What is built:': [
    ['-f, --file <path>', 'the Dockerfile (default CONTEXT/Dockerfile; - is standard input)'],
    ['--target <stage>', 'the stage to build'],
    ['--build-arg <name=value>…', 'value of an ARG; NAME alone takes the environment’s'],
    [
      '--build-context <name=place>…',
      'a further context: a directory, a git URL, oci-layout://DIR|TAR, docker-image://NAME',
    ],
    ['--platform <os/arch,…>…', 'platforms to build for'],
    ['--check', 'check the Dockerfile and build nothing'],
    ['--call <method>', 'what to do with the Dockerfile: build, check, outline, targets'],
  ],
  'What RUN may use:': [
    ['--secret <id=…,src=…|env=…>…', 'a secret for RUN --mount=type=secret'],
    ['--ssh <default|id=socket|key,…>…', 'an agent’s socket, or keys, for RUN --mount=type=ssh'],
    ['--network <mode>', 'network of RUN: default, none or host'],
    ['--add-host <name:ip>…', 'a line of /etc/hosts'],
    ['--allow <entitlement>…', 'let the Dockerfile use network.host or security.insecure'],
    ['--shm-size <bytes>', 'size of /dev/shm, such as 128m'],
    ['--ulimit <name=soft[:hard]>…', 'a resource limit, such as nofile=1024:2048'],
    ['-m, --memory <bytes>', 'memory of a step, such as 512m'],
    ['--memory-swap <bytes>', 'memory and swap together; -1 is unlimited'],
    ['-c, --cpu-shares <number>', 'relative weight of a step'],
    ['--cpu-period <us>', 'period of the CPU quota, in microseconds'],
    ['--cpu-quota <us>', 'CPU time of a step in a period, in microseconds'],
    ['--cpuset-cpus <list>', 'processors of a step, such as 0-2,4'],
    ['--cpuset-mems <list>', 'memory nodes of a step, such as 0,1'],
  ],
  'Cache:': [
    ['--no-cache', 'run every step again'],
    ['--no-cache-filter <stage,…>…', 'run the steps of these stages again'],
    ['--pull', 'look for newer base images'],
    ['--cache-from <type=…>…', 'take steps from a cache: registry, local'],
    ['--cache-to <type=…>…', 'write steps to a cache: inline, registry, local'],
  ],
  'Where the image goes:': [
    ['-t, --tag <name>…', 'name of the image'],
    ['--push', 'push the image under its names'],
    ['-o, --output <type=…,dest=…>…', 'oci, docker, tar, local, registry or image; a path alone is local'],
    ['--iidfile <path>', 'write the image’s ID to a file'],
    ['--metadata-file <path>', 'write the digests as JSON'],
    ['--label <name=value>…', 'label of the image'],
    [
      '--annotation <[place:]name=value>…',
      'annotation; PLACE is manifest, index, manifest-descriptor, index-descriptor',
    ],
    ['--provenance <value>', 'say how the image was made: true, false, mode=min, mode=max'],
    ['--sbom <value>', 'say what the image holds: true or false'],
    ['--attest <type=…>…', 'the same as --provenance and --sbom, as type=provenance and type=sbom'],
  ],
  'What is shown:': [
    ['--progress <form>', 'auto, tty, plain, rawjson, quiet or none (default auto, or $BUILDKIT_PROGRESS)'],
    ['-q, --quiet', 'print the image’s ID only'],
    ['-D, --debug', 'show warnings at length'],
  ],
}

/** Known to users of `docker build`: what they ask for is here anyway, or there is nothing to be asked for. */
const ACCEPTED = ['--builder <name>', '--cgroup-parent <name>', '--isolation <value>', '--security-opt <option>…']
const ACCEPTED_SWITCHES = ['--load', '--rm', '--force-rm', '--compress', '--squash', '--disable-content-trust']

const collect = (value: string, previous: string[]): string[] => [...previous, value]

export function addBuildFlags(command: Command): Command {
  for (const [group, rows] of Object.entries(GROUPS)) for (const row of rows) addFlag(command, row).helpGroup(group)
  for (const flags of [...ACCEPTED, ...ACCEPTED_SWITCHES]) addFlag(command, [flags, '']).hideHelp()
  return command
}

/** What is not given is set here and not in the option, so that help does not print it. */
function addFlag(command: Command, [text, help]: Row): Option {
  const isList = text.endsWith('…')
  const flags = text.replace(/…$/, '')
  const option = new Option(flags, isList ? `${help}, repeatable` : help)
  if (isList) option.argParser(collect)
  command.addOption(option)
  const isSwitch = !flags.includes('<') && !option.negate
  if (isList || isSwitch) command.setOptionValueWithSource(option.attributeName(), isList ? [] : false, 'default')
  return option
}

/** The command's switches by every name they have, for spellings that commander does not know. */
const SWITCHES = [...Object.values(GROUPS).flatMap((rows) => rows.map(([flags]) => flags)), ...ACCEPTED_SWITCHES]
  .filter((flags) => !flags.includes('<'))
  .flatMap((flags) => flags.split(', '))

/**
 * Arguments as commander reads them: `--pull=true` is `--pull`, `--pull=false` says nothing, `-t=NAME` is `-t NAME`.
 * What follows `--` stays.
 */
export function plainArguments(args: readonly string[]): string[] {
  const end = args.includes('--') ? args.indexOf('--') : args.length
  const read = args.slice(0, end).flatMap((arg) => {
    const [, name = '', value = ''] = /^(--?[a-zA-Z][\w-]*)=(.*)$/s.exec(arg) ?? []
    if (!SWITCHES.includes(name)) return /^-\w$/.test(name) ? [name, value] : [arg]
    if (/^(?:1|t|true)$/i.test(value)) return [name]
    return /^(?:0|f|false)$/i.test(value) ? [] : [arg]
  })
  return [...read, ...args.slice(end)]
}
