import { describe, expect, test } from 'vitest'
import { lint } from '../../support/lint.ts'

const text = 'FROM base as a\ncopy f .\nCMD ["b"]\n'
const from = "FromAsCasing: 'as' and 'FROM' keywords' casing do not match"
const casing = "ConsistentInstructionCasing: Command 'copy' should match the case of the command majority (uppercase)"

describe('the check directive', () => {
  test.for<[string, string[], string | null]>([
    ['# check=skip=all', [], null],
    ['#check=skip=all;error=true', [], null],
    ['# check=skip=ConsistentInstructionCasing,FromAsCasing', [], null],
    ['# check=skip=ConsistentInstructionCasing # not ours', [`2 ${from}`], null],
    ['# check=error=false', [`2 ${from}`, `3 ${casing}`], null],
    [
      '# check=error=true',
      [`2 ${from}`, `3 ${casing}`],
      'lint violation found for rules: ConsistentInstructionCasing, FromAsCasing',
    ],
    [
      '# check = skip=FromAsCasing;error=true',
      [`3 ${casing}`],
      'lint violation found for rules: ConsistentInstructionCasing',
    ],
    ['# nothing\n# check=skip=all\n', [`4 ${from}`, `5 ${casing}`], null],
    ['# check=quiet=1', [], 'failed to parse check options: invalid check option "quiet"'],
    ['# check=skip', [], 'failed to parse check options: invalid check option "skip"'],
    [
      '# check=error=maybe',
      [],
      'failed to parse check options: failed to parse check option "error=maybe": expected true or false, got "maybe"',
    ],
  ])('%s', async ([directive, said, error]) => {
    expect(await lint(`${directive}\n${text}`)).toEqual({ said, error })
  })

  test('gives way to the build argument', async () => {
    const buildArgs = { BUILDKIT_DOCKERFILE_CHECK: 'skip=ConsistentInstructionCasing;error=true' }
    expect(await lint(`# check=skip=all\n${text}`, { buildArgs })).toEqual({
      said: [`2 ${from}`],
      error: 'lint violation found for rules: FromAsCasing',
    })
    expect(await lint(`# check=error=true\n${text}`, { buildArgs: { BUILDKIT_DOCKERFILE_CHECK: 'skip=all' } })).toEqual(
      {
        said: [],
        error: null,
      },
    )
  })
})

test('a comment silences the instruction below it, and no other', async () => {
  const dockerfile = [
    'FROM base',
    '# check=skip=SecretsUsedInArgOrEnv // it is none',
    'ENV password=a',
    'ENV secret=b',
    '# check=skip=all',
    '# and a second comment',
    'MAINTAINER me',
    '# check=skip=MaintainerDeprecated',
    '',
    'MAINTAINER me',
    '# check=skip=WorkdirRelativePath',
    'WORKDIR x',
  ]
  expect((await lint(dockerfile.join('\n'))).said).toEqual([
    '10 MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label',
    '4 SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ENV "secret")',
  ])
})

describe('stages that the target does not need', () => {
  const stages = 'FROM base AS First\nCOPY $foo .\nFROM base AS second\nCOPY $bar .\n'
  const name = "1 StageNameCasing: Stage name 'First' should be lowercase"
  const foo = "2 UndefinedVar: Usage of undefined variable '$foo'"
  const bar = "4 UndefinedVar: Usage of undefined variable '$bar'"

  test('are judged by how they are written only', async () => {
    expect((await lint(stages)).said).toEqual([name, bar])
    expect((await lint(stages, { target: 'first' })).said).toEqual([name, foo])
  })

  test('are judged altogether where all are asked for', async () => {
    expect((await lint(stages, { allStages: true })).said).toEqual([name, foo, bar])
  })
})

describe('a mistake', () => {
  test.for<[string, string, string[], RegExp]>([
    [
      'of the grammar',
      'FROM scratch AS Bad\nMAINTAINER me\nBADCMD',
      [
        "1 StageNameCasing: Stage name 'Bad' should be lowercase",
        '2 MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label',
      ],
      /unknown instruction: BADCMD/,
    ],
    [
      'in a stage',
      'FROM base\nCOPY $x /\nENV A=${x?no}',
      ["2 UndefinedVar: Usage of undefined variable '$x'"],
      /x: no/,
    ],
    [
      'in FROM',
      'FROM $bsae',
      [
        '1 InvalidDefaultArgInFrom: Default value for ARG $bsae results in empty or invalid base image name',
        "1 UndefinedArgInFrom: FROM argument 'bsae' is not declared",
      ],
      /should not be blank/,
    ],
    [
      'of a missing image',
      'FROM base as a\nFROM gone',
      ["1 FromAsCasing: 'as' and 'FROM' keywords' casing do not match"],
      /gone was not found/,
    ],
  ])('%s leaves what was warned of before it', async ([, dockerfile, said, error]) => {
    const result = await lint(dockerfile)
    expect(result.said).toEqual(said)
    expect(result.error).toMatch(error)
  })
})

test('triggers are judged where they fire', async () => {
  const dockerfile = 'FROM base AS a\nONBUILD WORKDIR sub\nFROM a\nRUN true'
  expect((await lint(dockerfile)).said).toEqual([
    '3 WorkdirRelativePath: Relative workdir "sub" can have unexpected results if the base image changes',
  ])
})

test('each word that is expanded is reported once, and those that are not are not', async () => {
  const instructions = [
    'ADD --chown=$a --chmod=7$b5 $c /$d',
    'COPY --chown=$a f$b /$c',
    'COPY ["$a", "/$b"]',
    'ENV $a=$b c=$d',
    'EXPOSE 80$a',
    'LABEL $a=$b',
    'STOPSIGNAL SIGTERM$a',
    'USER u$a',
    'VOLUME /$a',
    'WORKDIR /$a',
    'ARG x=$a y=$b',
    'RUN --mount=type=cache,id=$a,target=/$b true $c',
    'COPY --exclude=$a f /',
    'RUN $a',
    'CMD ["$a"]',
    'ENTRYPOINT ["$a"]',
    'HEALTHCHECK CMD $a',
    'SHELL ["$a"]',
    'ONBUILD RUN echo $a',
    'MAINTAINER $a',
  ]
  const said = await Promise.all(
    instructions.map(async (instruction) => {
      const { said } = await lint(`FROM base\n${instruction}`)
      return said.flatMap((line) => /undefined variable '\$(\w+)'/.exec(line)?.[1] ?? []).sort()
    }),
  )
  expect(Object.fromEntries(instructions.map((text, index) => [text, said[index]?.join(' ')]))).toEqual({
    'ADD --chown=$a --chmod=7$b5 $c /$d': 'a b5 c d',
    'COPY --chown=$a f$b /$c': 'a b c',
    'COPY ["$a", "/$b"]': 'a b',
    'ENV $a=$b c=$d': 'a b d',
    'EXPOSE 80$a': '',
    'LABEL $a=$b': 'a b',
    'STOPSIGNAL SIGTERM$a': 'a',
    'USER u$a': 'a',
    'VOLUME /$a': 'a',
    'WORKDIR /$a': 'a',
    'ARG x=$a y=$b': 'a b',
    'RUN --mount=type=cache,id=$a,target=/$b true $c': 'a b',
    'COPY --exclude=$a f /': '',
    'RUN $a': '',
    'CMD ["$a"]': '',
    'ENTRYPOINT ["$a"]': '',
    'HEALTHCHECK CMD $a': '',
    'SHELL ["$a"]': '',
    'ONBUILD RUN echo $a': '',
    'MAINTAINER $a': '',
  })
})
