import { mkdtempDisposable, readdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openCheckedOutContext } from '#buildkit-lite'
import { run } from '#host/exec'

const signal = new AbortController().signal
const identity = { GIT_AUTHOR_NAME: 'a', GIT_AUTHOR_EMAIL: 'a@x', GIT_COMMITTER_NAME: 'a', GIT_COMMITTER_EMAIL: 'a@x' }

test('a commit of a bare repository with its .git, detached and clean, and nothing left of it in the end', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'slip-checked-out-'))
  const env = { PATH: '/usr/bin:/bin', HOME: dir.path, ...identity }
  const git = async (...args: string[]) => (await run('git', args, { env })).stdout.toString().trim()
  const [work, bare] = [join(dir.path, 'work'), join(dir.path, 'bare.git')]
  await git('init', '-q', work)
  await writeFile(join(work, 'file'), 'x')
  await writeFile(join(work, '.dockerignore'), 'no\n')
  await git('-C', work, 'add', '-A')
  await git('-C', work, 'commit', '-qm', 'The subject')
  await git('clone', '--quiet', '--bare', work, bare)
  const commit = await git('-C', work, 'rev-parse', 'HEAD')
  const checkoutRoot = join(dir.path, 'checkouts')
  const place = { gitDir: bare, commit, subdirectory: '/', checkoutRoot }
  {
    await using context = await openCheckedOutContext(place, signal)
    const paths = (await context.entries(signal)).map((entry) => entry.path)
    expect(paths).toEqual(expect.arrayContaining(['.dockerignore', '.git/HEAD', 'file']))
    const root = await context.materialise(signal)
    expect(await git('-C', root, 'log', '--format=%H %s')).toBe(`${commit} The subject`)
    expect(await git('-C', root, 'status', '--porcelain')).toBe('')
    expect(await git('-C', root, 'remote')).toBe('')
  }
  expect(await readdir(checkoutRoot)).toEqual([])
})
