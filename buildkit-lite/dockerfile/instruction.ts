import type { Heredoc } from './heredoc.ts'
import type { NameValue } from './words.ts'

/** The argument of RUN, CMD, ENTRYPOINT: a program with its arguments, or a text for the shell. */
export type CommandLine = { form: 'exec'; args: readonly string[] } | { form: 'shell'; text: string }

/** `key=value` or `key` alone of one `--mount`, as written. */
export interface MountOption {
  key: string
  value: string | null
}

export interface FromInstruction {
  kind: 'FROM'
  image: string
  name: string | null
  platform: string | null
  /** `AS` and the name as written. */
  written: { as: string; name: string } | null
}

export interface ArgInstruction {
  kind: 'ARG'
  args: readonly { name: string; value: string | null }[]
}

export interface RunInstruction {
  kind: 'RUN'
  command: CommandLine
  heredocs: readonly Heredoc[]
  mounts: readonly (readonly MountOption[])[]
  network: 'default' | 'none' | 'host' | null
  security: 'sandbox' | 'insecure' | null
  devices: readonly DeviceRequest[]
}

/** One `--device`: a CDI name, and whether the step fails without it. */
export interface DeviceRequest {
  name: string
  required: boolean
}

/** COPY and ADD. Values are not expanded yet. */
export interface CopyInstruction {
  kind: 'COPY' | 'ADD'
  from: string | null
  sources: readonly string[]
  heredocs: readonly Heredoc[]
  destination: string
  chown: string | null
  chmod: string | null
  link: boolean
  parents: boolean
  exclude: readonly string[]
  /** `--unpack`; null is the rule of the instruction. */
  unpack: boolean | null
  checksum: string | null
  keepGitDir: boolean | null
}

export interface HealthcheckInstruction {
  kind: 'HEALTHCHECK'
  /** `NONE`, or the words behind `CMD`. */
  test: 'none' | CommandLine
  /** Nanoseconds, as image configs have them. */
  interval: number
  timeout: number
  startPeriod: number
  startInterval: number
  retries: number
}

/** An instruction with its grammar understood and its variables not yet expanded. */
export type Instruction =
  | FromInstruction
  | ArgInstruction
  | RunInstruction
  | CopyInstruction
  | HealthcheckInstruction
  | { kind: 'ENV' | 'LABEL'; pairs: readonly NameValue[]; legacy: boolean }
  | { kind: 'CMD' | 'ENTRYPOINT'; command: CommandLine }
  | { kind: 'SHELL'; args: readonly string[] }
  | { kind: 'EXPOSE' | 'VOLUME'; words: readonly string[] }
  | { kind: 'WORKDIR'; value: string }
  | { kind: 'USER' | 'STOPSIGNAL' | 'MAINTAINER'; value: string }
  | { kind: 'ONBUILD'; trigger: string }

/** An instruction and where it stands in the Dockerfile. */
export interface PlacedInstruction {
  instruction: Instruction
  /** The keyword in capitals and the arguments as written, on one line: what a person reads. */
  title: string
  /** The keyword as written. */
  keyword: string
  /** The comment lines directly above, without their `#`. */
  comments: readonly string[]
  first: number
  last: number
}
