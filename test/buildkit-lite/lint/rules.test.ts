import { describe, expect, test } from 'vitest'
import { RULES } from '../../../buildkit-lite/lint/rules.ts'
import { type LintSettings, lint } from '../../support/lint.ts'

interface Case {
  rule: string
  of: string
  text: string
  /** `line message` of this rule only. */
  says: string[]
  settings?: LintSettings
}

const secret = (kind: string, name: string) =>
  `Do not use ARG or ENV instructions for sensitive data (${kind} "${name}")`
const again = (keyword: string) =>
  `Multiple ${keyword} instructions should not be used in the same stage because only the last one will be used`
const asJson = (keyword: string) =>
  `JSON arguments recommended for ${keyword} to prevent unintended behavior related to OS signals`
const casing = (keyword: string, majority: string) =>
  `Command '${keyword}' should match the case of the command majority (${majority})`
const ignored = (verb: string, path: string) => `Attempting to ${verb} file "${path}" that is excluded by .dockerignore`
const mapped = (port: string) =>
  `EXPOSE instruction should not define an IP address or host-port mapping, found '${port}'`
const legacy = (keyword: string) =>
  `"${keyword} key=value" should be used instead of legacy "${keyword} key value" format`
const noDefault = (image: string) => `Default value for ARG ${image} results in empty or invalid base image name`

const CASES: Case[] = [
  {
    rule: 'StageNameCasing',
    of: 'capitals in a name',
    text: 'FROM base AS Builder\nFROM base AS b2',
    says: ["1 Stage name 'Builder' should be lowercase"],
  },
  { rule: 'StageNameCasing', of: 'small letters', text: 'FROM base AS builder-1.x_y', says: [] },
  {
    rule: 'FromAsCasing',
    of: 'a small as',
    text: 'FROM base as a\nFROM base AS b',
    says: ["1 'as' and 'FROM' keywords' casing do not match"],
  },
  {
    rule: 'FromAsCasing',
    of: 'a large AS',
    text: 'from base AS a\nfrom base as b',
    says: ["1 'AS' and 'from' keywords' casing do not match"],
  },
  { rule: 'FromAsCasing', of: 'a FROM that is of mixed case itself', text: 'From base as a', says: [] },
  {
    rule: 'FromAsCasing',
    of: 'an As of mixed case',
    text: 'FROM base As a',
    says: ["1 'As' and 'FROM' keywords' casing do not match"],
  },
  {
    rule: 'NoEmptyContinuation',
    of: 'an empty line, at the last line of its instruction',
    text: 'FROM base\n# why\nRUN a \\\n\n  b\nRUN c \\\n  d',
    says: ['5 Empty continuation line'],
  },
  { rule: 'NoEmptyContinuation', of: 'a comment inside', text: 'FROM base\nRUN a \\\n# b\n  c', says: [] },
  {
    rule: 'ConsistentInstructionCasing',
    of: 'mixed case in one keyword; a tie is for capitals',
    text: 'From base as a\nFROM base AS b',
    says: [`1 ${casing('From', 'uppercase')}`],
  },
  {
    rule: 'ConsistentInstructionCasing',
    of: 'the minority',
    text: 'from base\nCOPY a /\ncopy b /',
    says: [`2 ${casing('COPY', 'lowercase')}`],
  },
  {
    rule: 'ConsistentInstructionCasing',
    of: 'FROM as the minority; global arguments do not count',
    text: 'ARG a=1\nARG b=2\nFROM base\ncopy a /\ncopy b /',
    says: [`3 ${casing('FROM', 'lowercase')}`],
  },
  { rule: 'ConsistentInstructionCasing', of: 'all small', text: 'from base\ncopy a /\nrun b', says: [] },
  {
    rule: 'DuplicateStageName',
    of: 'a name that comes again, in other letters',
    text: 'FROM base AS b\nFROM base AS B',
    says: ['2 Duplicate stage name "b", stage names should be unique'],
  },
  { rule: 'DuplicateStageName', of: 'different names', text: 'FROM base AS a\nFROM base AS b', says: [] },
  {
    rule: 'ReservedStageName',
    of: 'scratch and context',
    text: 'FROM base AS scratch\nFROM base AS context',
    says: [
      '1 Stage name should not use the same name as reserved stage "scratch"',
      '2 Stage name should not use the same name as reserved stage "context"',
    ],
  },
  { rule: 'ReservedStageName', of: 'scratch as a base', text: 'FROM scratch\nFROM scratch AS a', says: [] },
  {
    rule: 'JSONArgsRecommended',
    of: 'the shell form',
    text: 'FROM base\nENTRYPOINT a b\nCMD c',
    says: [`2 ${asJson('ENTRYPOINT')}`, `3 ${asJson('CMD')}`],
  },
  { rule: 'JSONArgsRecommended', of: 'the JSON form', text: 'FROM base\nCMD ["a"]\nENTRYPOINT ["b"]', says: [] },
  {
    rule: 'JSONArgsRecommended',
    of: 'a SHELL of the stage before',
    text: 'FROM base AS a\nSHELL ["/bin/bash", "-c"]\nFROM a\nCMD b',
    says: [],
  },
  {
    rule: 'JSONArgsRecommended',
    of: 'a SHELL of the base image',
    text: 'FROM shelled\nCMD b',
    says: [],
    settings: { images: { shelled: { config: { Shell: ['/bin/bash'] } } } },
  },
  { rule: 'JSONArgsRecommended', of: 'RUN', text: 'FROM base\nRUN a', says: [] },
  {
    rule: 'MaintainerDeprecated',
    of: 'MAINTAINER',
    text: 'FROM base\nMAINTAINER me',
    says: ['2 Maintainer instruction is deprecated in favor of using label'],
  },
  { rule: 'MaintainerDeprecated', of: 'a label', text: 'FROM base\nLABEL authors=me', says: [] },
  {
    rule: 'UndefinedArgInFrom',
    of: 'a name that is misspelt',
    text: 'FROM --platform=$BULIDPLATFORM base',
    says: ["1 FROM argument 'BULIDPLATFORM' is not declared (did you mean BUILDPLATFORM?)"],
  },
  {
    rule: 'UndefinedArgInFrom',
    of: 'a name that nothing is like',
    text: 'ARG tag=\nFROM base${tag}${version} AS b',
    says: ["2 FROM argument 'version' is not declared"],
  },
  {
    rule: 'UndefinedArgInFrom',
    of: 'declared and automatic arguments',
    text: 'ARG DEBUG\nFROM --platform=$BUILDPLATFORM base${DEBUG}',
    says: [],
  },
  {
    rule: 'UndefinedVar',
    of: 'an argument before its declaration',
    text: 'FROM base\nCOPY $foo /\nARG foo=bar\nRUN echo $foo',
    says: ["2 Usage of undefined variable '$foo'"],
  },
  {
    rule: 'UndefinedVar',
    of: 'a name that is nearly right',
    text: 'FROM base\nARG DIR_ASSETS=a\nCOPY $DIR_ASSET /',
    says: ["3 Usage of undefined variable '$DIR_ASSET' (did you mean $DIR_ASSETS?)"],
  },
  {
    rule: 'UndefinedVar',
    of: 'the path',
    text: 'FROM base\nENV PATH=$PAHT:/tmp/bin',
    says: ["2 Usage of undefined variable '$PAHT' (did you mean $PATH?)"],
  },
  {
    rule: 'UndefinedVar',
    of: 'a name with a fallback',
    text: 'FROM base\nENV A=${x:-d}',
    says: ["2 Usage of undefined variable '$x'"],
  },
  {
    rule: 'UndefinedVar',
    of: 'the body of a here-document',
    text: 'FROM base\nCOPY <<E /f\n$x\nE\nCOPY <<"E" /g\n$y\nE',
    says: ["2 Usage of undefined variable '$x'"],
  },
  {
    rule: 'UndefinedVar',
    of: 'the options of a mount',
    text: 'FROM base\nRUN --mount=type=cache,target=/c/$x true',
    says: ["2 Usage of undefined variable '$x'"],
  },
  {
    rule: 'UndefinedVar',
    of: 'the default of an argument',
    text: 'FROM base\nARG a=$x',
    says: ["2 Usage of undefined variable '$x'"],
  },
  {
    rule: 'UndefinedVar',
    of: 'a default that is not used',
    text: 'FROM base\nARG a=$x',
    says: [],
    settings: { buildArgs: { a: '1' } },
  },
  { rule: 'UndefinedVar', of: 'an argument without a value', text: 'FROM base\nARG foo\nCOPY a$foo /', says: [] },
  {
    rule: 'UndefinedVar',
    of: 'what a base stage declares',
    text: 'FROM base AS a\nARG f=1\nFROM a\nCOPY $f /',
    says: [],
  },
  { rule: 'UndefinedVar', of: 'a variable of the shell', text: 'FROM base\nRUN echo $x\nCMD echo $y', says: [] },
  {
    rule: 'UndefinedVar',
    of: 'an argument of the builder',
    text: 'FROM base\nENV a=$BUILDKIT_SBOM_SCAN_STAGE',
    says: [],
  },
  {
    rule: 'WorkdirRelativePath',
    of: 'the first one of a stage',
    text: 'FROM base\nWORKDIR app/\nWORKDIR sub',
    says: ['2 Relative workdir "app/" can have unexpected results if the base image changes'],
  },
  {
    rule: 'WorkdirRelativePath',
    of: 'a base stage with one',
    text: 'FROM base AS a\nWORKDIR /app\nFROM a\nWORKDIR sub',
    says: [],
  },
  {
    rule: 'WorkdirRelativePath',
    of: 'a base image with one',
    text: 'FROM placed\nWORKDIR sub',
    says: ['2 Relative workdir "sub" can have unexpected results if the base image changes'],
    settings: { images: { placed: { config: { WorkingDir: '/app' } } } },
  },
  {
    rule: 'MultipleInstructionsDisallowed',
    of: 'a second one, at the first',
    text: 'FROM base\nENTRYPOINT ["a"]\nCMD ["a"]\nHEALTHCHECK CMD a\nRUN b\nENTRYPOINT ["b"]\nCMD ["b"]\nHEALTHCHECK NONE',
    says: [`2 ${again('ENTRYPOINT')}`, `3 ${again('CMD')}`, `4 ${again('HEALTHCHECK')}`],
  },
  {
    rule: 'MultipleInstructionsDisallowed',
    of: 'one in each stage',
    text: 'FROM base AS a\nCMD ["a"]\nFROM a\nCMD ["b"]',
    says: [],
  },
  {
    rule: 'LegacyKeyValueFormat',
    of: 'blanks',
    text: 'FROM base\nENV a b c\nlabel a b',
    says: [`2 ${legacy('ENV')}`, `3 ${legacy('label')}`],
  },
  { rule: 'LegacyKeyValueFormat', of: 'equal signs', text: 'FROM base\nENV a=b\nLABEL a=b', says: [] },
  {
    rule: 'RedundantTargetPlatform',
    of: 'both spellings',
    text: 'FROM --platform=$TARGETPLATFORM base AS a\nFROM --platform=${TARGETPLATFORM} base',
    says: [
      '1 Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior',
      '2 Setting platform to predefined ${TARGETPLATFORM} in FROM is redundant as this is the default behavior',
    ],
  },
  { rule: 'RedundantTargetPlatform', of: 'another one', text: 'FROM --platform=$BUILDPLATFORM base', says: [] },
  {
    rule: 'FromPlatformFlagConstDisallowed',
    of: 'a constant',
    text: 'FROM --platform=linux/amd64 base',
    says: ['1 FROM --platform flag should not use constant value "linux/amd64"'],
  },
  {
    rule: 'FromPlatformFlagConstDisallowed',
    of: 'stages named after it',
    text: 'FROM --platform=linux/amd64 base AS my_amd64\nFROM --platform=linux/amd64 base AS linux',
    says: [],
  },
  { rule: 'FromPlatformFlagConstDisallowed', of: 'a variable', text: 'FROM --platform=$BUILDPLATFORM base', says: [] },
  {
    rule: 'InvalidBaseImagePlatform',
    of: 'an image for another machine',
    text: 'FROM armed',
    says: ['1 Base image armed was pulled with platform "linux/arm64", expected "linux/amd64" for current build'],
    settings: { images: { armed: { architecture: 'arm64', variant: 'v8' } } },
  },
  { rule: 'InvalidBaseImagePlatform', of: 'the right image', text: 'FROM base', says: [] },
  {
    rule: 'InvalidDefaultArgInFrom',
    of: 'names that only arguments complete',
    text: 'ARG VERSION\nARG IMAGE\nFROM base:$VERSION AS a\nFROM $IMAGE AS b\nFROM base',
    says: [`3 ${noDefault('base:$VERSION')}`, `4 ${noDefault('$IMAGE')}`],
    settings: { buildArgs: { VERSION: '1', IMAGE: 'base' } },
  },
  {
    rule: 'InvalidDefaultArgInFrom',
    of: 'names that are whole without them',
    text: 'ARG VARIANT\nARG NAME=base\nFROM base${VARIANT} AS a\nFROM $NAME',
    says: [],
  },
  {
    rule: 'SecretsUsedInArgOrEnv',
    of: 'words of a name',
    text: 'FROM base\nARG SECRET_PASSPHRASE\nENV password=a my_secret=b\nARG super_token_x=a auth=b\nENV apikey=a git_key=',
    says: [
      `2 ${secret('ARG', 'SECRET_PASSPHRASE')}`,
      `3 ${secret('ENV', 'password')}`,
      `3 ${secret('ENV', 'my_secret')}`,
      `4 ${secret('ARG', 'super_token_x')}`,
      `4 ${secret('ARG', 'auth')}`,
      `5 ${secret('ENV', 'apikey')}`,
      `5 ${secret('ENV', 'git_key')}`,
    ],
  },
  {
    rule: 'SecretsUsedInArgOrEnv',
    of: 'what is public, a file or a version, and parts of words',
    text: 'FROM base\nENV PUBLIC_KEY=a\nARG TOKEN_FILE\nARG AUTH_MODULE_VERSION\nENV MONKEY=1 AUTHOR=me passwords=1',
    says: [],
  },
  { rule: 'SecretsUsedInArgOrEnv', of: 'global arguments', text: 'ARG TOKEN\nFROM base', says: [] },
  {
    rule: 'CopyIgnoredFile',
    of: 'ignored files',
    text: 'FROM base\nCOPY ./Dockerfile .\nADD sub/key /windy',
    says: [`2 ${ignored('Copy', 'Dockerfile')}`, `3 ${ignored('Add', 'sub/key')}`],
    settings: { ignore: ['Dockerfile', 'sub'] },
  },
  {
    rule: 'CopyIgnoredFile',
    of: 'the whole context where all is ignored',
    text: 'FROM base\nCOPY . .',
    says: [`2 ${ignored('Copy', '.')}`],
    settings: { ignore: ['*'] },
  },
  {
    rule: 'CopyIgnoredFile',
    of: 'the whole context where some is ignored',
    text: 'FROM base\nCOPY . .\nCOPY / /x',
    says: [],
    settings: { ignore: ['a', '*.md'] },
  },
  {
    rule: 'CopyIgnoredFile',
    of: 'an ignore file with exceptions',
    text: 'FROM base\nCOPY Dockerfile .',
    says: [],
    settings: { ignore: ['**', '!Dockerfile'] },
  },
  {
    rule: 'CopyIgnoredFile',
    of: 'files of another stage',
    text: 'FROM base AS a\nFROM base\nCOPY --from=a /foobar /f',
    says: [],
    settings: { ignore: ['foobar'] },
  },
  {
    rule: 'InvalidDefinitionDescription',
    of: 'comments that name something else',
    text: [
      '# check=experimental=InvalidDefinitionDescription',
      '# bar this is the bar',
      'ARG foo=bar',
      '# BasE this is the image',
      'FROM base AS base1',
      '# a bad comment',
      'ARG version=latest',
      '# a bad comment',
      'ARG foo=baz bar=qux',
    ].join('\n'),
    says: [
      '3 Comment for ARG should follow the format: `# foo <description>`',
      '5 Comment for FROM should follow the format: `# base1 <description>`',
      '7 Comment for ARG should follow the format: `# version <description>`',
      '9 Comment for ARG should follow the format: `# <arg_key> <description>`',
    ],
  },
  {
    rule: 'InvalidDefinitionDescription',
    of: 'descriptions, and comments apart',
    text: [
      '# check=skip=all;experimental=InvalidDefinitionDescription',
      '# foo is the foo',
      'ARG foo=bar',
      '# other',
      '',
      'FROM base AS base1',
      '# more',
      '#',
      'ARG bit=bat',
      '# copies',
      'COPY a .',
    ].join('\n'),
    says: [],
  },
  {
    rule: 'InvalidDefinitionDescription',
    of: 'a file that does not ask for it',
    text: '# bad\nFROM base AS a',
    says: [],
  },
  {
    rule: 'ExposeProtoCasing',
    of: 'capitals',
    text: 'FROM base\nEXPOSE 80/TcP 8080/udp',
    says: ["2 Defined protocol '80/TcP' in EXPOSE instruction should be lowercase"],
  },
  { rule: 'ExposeProtoCasing', of: 'small letters', text: 'FROM base\nEXPOSE 80/tcp 81', says: [] },
  {
    rule: 'ExposeInvalidFormat',
    of: 'addresses and ports of the host',
    text: 'FROM base\nEXPOSE 127.0.0.1:80:80 [::1]:8080:8080 5000:5000 8000',
    says: [`2 ${mapped('127.0.0.1:80:80')}`, `2 ${mapped('5000:5000')}`, `2 ${mapped('[::1]:8080:8080')}`],
  },
  { rule: 'ExposeInvalidFormat', of: 'ports and ranges', text: 'FROM base\nEXPOSE 80 90-92/udp', says: [] },
]

describe.for(RULES)('$name', ({ name, url }) => {
  const own = CASES.filter(({ rule }) => rule === name)

  test('is tested where it speaks and where it is silent, and has a page', () => {
    expect(own.some(({ says }) => says.length > 0)).toBe(true)
    expect(own.some(({ says }) => says.length === 0)).toBe(true)
    expect(url).toMatch(/^https:\/\/docs\.docker\.com\/go\/dockerfile\/rule\/[a-z-]+\/$/)
  })

  test.for(own)('of $of', async ({ text, says, settings }) => {
    const { said } = await lint(text, settings)
    const mark = ` ${name}:`
    expect(said.filter((line) => line.includes(mark)).map((line) => line.replace(mark, ''))).toEqual(says)
  })
})

test('pages are named after their rules', () => {
  const page = Object.fromEntries(RULES.map(({ name, url }) => [name, url.split('/').at(-2)]))
  expect(page['JSONArgsRecommended']).toBe('json-args-recommended')
  expect(page['SecretsUsedInArgOrEnv']).toBe('secrets-used-in-arg-or-env')
  expect(RULES).toHaveLength(22)
})
