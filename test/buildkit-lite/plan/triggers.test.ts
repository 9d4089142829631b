import { describe, expect, test } from 'vitest'
import { configOf, historyOf, imageOf, plan, resolverOf } from './plan-text.ts'

const titles = async (text: string, triggers: string[] = []) => {
  const resolver = resolverOf({ base: imageOf(), tool: imageOf(), parent: imageOf({ OnBuild: triggers }) })
  return (await plan(text, { resolver })).steps.map(({ title }) => title)
}

describe('triggers', () => {
  test.for<[string, string[], string[]]>([
    ['FROM parent\nRUN own', ['RUN a', 'RUN b'], ['FROM parent', 'ONBUILD RUN a', 'ONBUILD RUN b', 'RUN own']],
    // Of a stage they fire in its child only, and not in the child of that.
    [
      'FROM base AS a\nONBUILD RUN x\nRUN 1\nFROM a AS b\nRUN 2\nFROM b\nRUN 3',
      [],
      ['FROM base', 'RUN 1', 'ONBUILD RUN x', 'RUN 2', 'RUN 3'],
    ],
    ['FROM parent AS a\nFROM a\nRUN 3', ['RUN a'], ['FROM parent', 'ONBUILD RUN a', 'RUN 3']],
    // Stages of the child's file are theirs to copy from and to mount, in this order.
    [
      'FROM base AS files\nRUN f\nFROM parent\nRUN own',
      ['COPY --from=files /f /f', 'RUN --mount=from=files,target=/m m'],
      [
        'FROM base',
        'RUN f',
        'FROM parent',
        'ONBUILD COPY --from=files /f /f',
        'ONBUILD RUN --mount=from=files,target=/m m',
        'RUN own',
      ],
    ],
    [
      'FROM base AS files\nRUN f\nFROM parent',
      ['COPY --from=0 /f /f'],
      ['FROM base', 'RUN f', 'FROM parent', 'ONBUILD COPY --from=0 /f /f'],
    ],
    ['FROM parent', ['COPY --from=tool /t /t'], ['FROM parent', 'FROM tool', 'ONBUILD COPY --from=tool /t /t']],
    ['FROM parent', ['run <<EOF\necho 1\necho 2\nEOF'], ['FROM parent', 'ONBUILD RUN <<EOF (echo 1…)']],
  ])('%j with %j', async ([text, triggers, expected]) => {
    expect(await titles(text, triggers)).toEqual(expected)
  })

  test('are instructions as any others: with arguments, variables and history', async () => {
    const triggers = ['ARG V=1', 'ENV E=$V', 'WORKDIR /w/$E', 'LABEL l=$E', 'CMD ["c"]']
    const resolver = resolverOf({ parent: imageOf({ OnBuild: triggers }) })
    const planned = await plan('FROM parent\nENTRYPOINT ["e"]', { resolver, buildArgs: { V: '2' } })
    expect(historyOf(planned)).toEqual([
      '- ARG V=2',
      '- ENV E=2',
      'WORKDIR /w/2',
      '- LABEL l=2',
      '- CMD ["c"]',
      '- ENTRYPOINT ["e"]',
    ])
    expect(configOf(planned)).toMatchObject({ WorkingDir: '/w/2', Labels: { l: '2' }, Cmd: ['c'], Entrypoint: ['e'] })
    expect(configOf(planned)).not.toHaveProperty('OnBuild')
  })

  test('of its own file are kept for the next image', async () => {
    const resolver = resolverOf({ parent: imageOf({ OnBuild: ['ENV A=1'] }) })
    expect(configOf(await plan('FROM parent\nONBUILD ENV B=$X', { resolver })).OnBuild).toEqual(['ENV B=$X'])
  })

  test.for([
    [['RUNN x'], 'unknown instruction: RUNN (did you mean RUN?)'],
    [['COPY --from=later / /'], 'cannot copy from stage "later"'],
    [['COPY --from=9 / /'], 'invalid stage index 9'],
    [['EXPOSE abc'], 'invalid containerPort: abc'],
    [['RUN a\nRUN b'], 'onbuild trigger should be a single expression'],
  ] as const)('%j that is wrong is shown at FROM', async ([triggers, message]) => {
    const resolver = resolverOf({ base: imageOf(), parent: imageOf({ OnBuild: [...triggers] }) })
    const text = 'FROM base AS one\n\nFROM parent AS two\nFROM base AS later\nFROM two'
    await expect(plan(text, { resolver })).rejects.toMatchObject({
      kind: 'dockerfile-invalid',
      line: 3,
      message: expect.stringContaining(message),
    })
  })
})
