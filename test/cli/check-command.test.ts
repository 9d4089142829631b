import { existsSync } from 'node:fs'
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { run } from '#host/exec'

const slipway = join(import.meta.dirname, '..', '..', 'slipway')

test('--check builds nothing, makes nothing, and exits with 1 where it warns', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'slipway-check-'))
  const env = { ...process.env, SLIPWAY_DATA: join(dir.path, 'data'), HOME: dir.path }
  const check = async (text: string, ...flags: string[]) => {
    await writeFile(join(dir.path, 'Dockerfile'), text)
    const { code, stdout } = await run(slipway, ['build', ...flags, dir.path], { env, okCodes: [0, 1] })
    return { code, stdout: stdout.toString() }
  }

  expect(await check('FROM scratch\nCOPY a /\n', '--check')).toEqual({
    code: 0,
    stdout: 'Check complete, no warnings found.\n',
  })
  const report = join(dir.path, 'report.json')
  const warned = await check('FROM scratch AS Web\nRUN exit 7\n', '--check', `--metadata-file=${report}`)
  expect(warned.code).toBe(1)
  expect(warned.stdout).toContain('Check complete, 1 warning has been found!\n\nWARNING: StageNameCasing - https://')
  expect(warned.stdout).toContain(`\n${join(dir.path, 'Dockerfile')}:1\n`)
  expect(JSON.parse(await readFile(report, 'utf8'))).toMatchObject({
    'result.json': { warnings: [{ ruleName: 'StageNameCasing' }] },
  })
  expect(existsSync(join(dir.path, 'data'))).toBe(false)
}, 30_000)
