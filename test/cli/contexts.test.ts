import { mkdir, mkdtempDisposable, readFile, symlink, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'
import { pack } from 'tar-stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type BuildContext, createSharedWork, type FetchOptions } from '#buildkit-lite'
import { run } from '#host/exec'
import { UsageError } from '../../cli/exit-codes.ts'
import { findDockerfile } from '../../cli/find-dockerfile.ts'
import { isRemote, kindOfPlace, openContext } from '../../cli/open-context.ts'
import { readContexts } from '../../cli/read-contexts.ts'

const signal = new AbortController().signal
const DATE = '1600000000 +0000'
const identity = {
  GIT_AUTHOR_NAME: 'a',
  GIT_AUTHOR_EMAIL: 'a@x',
  GIT_COMMITTER_NAME: 'a',
  GIT_COMMITTER_EMAIL: 'a@x',
  GIT_AUTHOR_DATE: DATE,
  GIT_COMMITTER_DATE: DATE,
}

let dir: Awaited<ReturnType<typeof mkdtempDisposable>>
beforeEach(async () => {
  dir = await mkdtempDisposable(join(tmpdir(), 'slip-cli-contexts-'))
})
afterEach(async () => {
  await dir.remove()
})

function options(more: Partial<FetchOptions> = {}): FetchOptions {
  const access = { allowPrivate: true }
  const tools = { stateDir: join(dir.path, 'state'), sharedWork: createSharedWork(), access, sshAgent: null }
  return { workDir: join(dir.path, 'work'), tools, secrets: {}, ...more }
}

/** A repository with these files, committed; the answer is its address. */
async function repository(name: string, files: Record<string, string>, submodule?: string): Promise<string> {
  const root = join(dir.path, name)
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), content)
  }
  const env = { PATH: '/usr/bin:/bin', HOME: dir.path, ...identity }
  const git = async (...args: string[]) =>
    await run('git', ['-C', root, '-c', 'protocol.file.allow=always', ...args], { env })
  await git('init', '-q', '-b', 'main')
  await git('config', 'uploadpack.allowAnySHA1InWant', 'true')
  if (submodule) await git('submodule', '--quiet', 'add', submodule, 'libs/sub')
  await git('add', '-A')
  await git('commit', '-qm', 'One')
  await git('tag', 'v1')
  return `file://${root}`
}

async function list(context: BuildContext): Promise<string[]> {
  return (await context.entries(signal)).map(({ path, kind }) => (kind === 'directory' ? `${path}/` : path))
}

describe('a repository', () => {
  test('is one commit, with what .dockerignore lets through, and the commit’s time', async () => {
    const url = await repository('one', { a: '1', b: '2', '.dockerignore': 'b\n', 'sub/c': '3' })
    await using context = await openContext(`${url}#main`, options(), signal)
    expect(await list(context)).toEqual(['.dockerignore', 'a', 'sub/', 'sub/c'])
    expect(context.timestamp).toBe(1_600_000_000)
    await using inner = await openContext(`${url}?tag=v1&subdir=sub`, options(), signal)
    expect(await list(inner)).toEqual(['c'])
  })

  test('brings its submodules, and theirs', async () => {
    const innermost = await repository('innermost', { deep: 'x' })
    const lib = await repository('lib', { l: 'lib' }, innermost)
    const url = await repository('top', { a: '1' }, lib)
    await using context = await openContext(url, options(), signal)
    expect(await list(context)).toEqual([
      '.gitmodules',
      'a',
      'libs/',
      'libs/sub/',
      'libs/sub/.gitmodules',
      'libs/sub/l',
      'libs/sub/libs/',
      'libs/sub/libs/sub/',
      'libs/sub/libs/sub/deep',
    ])
    expect(await readFile(join(await context.materialise(signal), 'libs/sub/l'), 'utf8')).toBe('lib')
    expect(context.timestamp).toBe(1_600_000_000)
    await using inside = await openContext(`${url}#:libs`, options(), signal)
    expect(await list(inside)).toContain('sub/l')
    await using without = await openContext(`${url}?submodules=0`, options(), signal)
    expect(await list(without)).toEqual(['.gitmodules', 'a', 'libs/', 'libs/sub/'])
  })

  test('keeps .git where it is asked to', async () => {
    const url = await repository('kept', { a: '1' })
    const head = async (context: BuildContext) => {
      const env = {
        PATH: '/usr/bin:/bin',
        HOME: dir.path,
        GIT_CONFIG_COUNT: '1',
        GIT_CONFIG_KEY_0: 'safe.directory',
        GIT_CONFIG_VALUE_0: '*',
      }
      const { stdout } = await run('git', ['-C', await context.materialise(signal), 'status', '--porcelain=v1', '-b'], {
        env,
      })
      return stdout.toString()
    }
    await using byAddress = await openContext(`${url}?keep-git-dir=1`, options(), signal)
    expect(await list(byAddress)).toContain('.git/HEAD')
    expect(await head(byAddress)).toBe('## HEAD (no branch)\n')
    await using byOption = await openContext(url, options({ keepGitDir: true }), signal)
    expect(await list(byOption)).toContain('.git/HEAD')
  })

  test.for([
    ['#nothing', 'does not contain ref nothing'],
    ['#main:a', 'is not a directory'],
    ['#main:link', 'is not a directory'],
    ['?commit=0123456', 'expected checksum to match 0123456'],
  ] as const)('%s is a mistake', async ([suffix, message]) => {
    await mkdir(join(dir.path, 'bad', 'd'), { recursive: true })
    await symlink('d', join(dir.path, 'bad', 'link'))
    const url = await repository('bad', { a: '1', 'd/x': '' })
    await expect(openContext(`${url}${suffix}`, options(), signal)).rejects.toThrow(message)
  })
})

describe('a URL', () => {
  let server: Server
  let origin: string
  const bodies = new Map<string, { body: Buffer; lastModified?: string }>()

  beforeEach(async () => {
    server = createServer((request, response) => {
      const found = bodies.get(request.url ?? '')
      if (!found) response.writeHead(404).end()
      else response.writeHead(200, found.lastModified ? { 'last-modified': found.lastModified } : {}).end(found.body)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const archive = pack()
    archive.entry({ name: 'a', mtime: new Date(5000) }, 'x')
    archive.entry({ name: 'dir/b', mtime: new Date(9000) }, 'y')
    archive.entry({ name: 'dir', type: 'directory', mtime: new Date(99_000) })
    archive.finalize()
    const tar = await buffer(archive)
    bodies.set('/context.tar.gz', { body: gzipSync(tar) })
    bodies.set('/dated.tar', { body: tar, lastModified: 'Sat, 01 Jan 2000 00:00:00 GMT' })
    bodies.set('/Dockerfile.web', { body: Buffer.from('FROM scratch\n') })
  })
  afterEach(async () => {
    await new Promise((resolve) => server.close(resolve))
  })

  test('of an archive is its files', async () => {
    await using context = await openContext(`${origin}/context.tar.gz`, options(), signal)
    expect(await list(context)).toEqual(['a', 'dir/', 'dir/b'])
    expect(context.timestamp).toBe(9)
    await using dated = await openContext(`${origin}/dated.tar`, options(), signal)
    expect(dated.timestamp).toBe(946_684_800)
  })

  test('of anything else is the Dockerfile itself, or the one file of a further context', async () => {
    const url = `${origin}/Dockerfile.web`
    await using context = await openContext(url, options({ dockerfile: 'Dockerfile' }), signal)
    expect((await context.readFile('Dockerfile', 100, signal))?.toString()).toBe('FROM scratch\n')
    await using stack = new AsyncDisposableStack()
    const { more } = await readContexts([`more=${url}`], options(), stack, signal)
    expect(more?.kind === 'context' ? await list(more.context) : null).toEqual(['context'])
  })

  test('that is not there is named', async () => {
    await expect(openContext(`${origin}/gone.tar`, options(), signal)).rejects.toMatchObject({
      kind: 'source-unavailable',
      message: expect.stringContaining('invalid response status 404'),
    })
  })
})

test('further contexts are directories with their own ignore file, layouts, images and what is fetched', async () => {
  await writeFile(join(dir.path, 'seen'), '')
  await writeFile(join(dir.path, 'hidden'), '')
  await writeFile(join(dir.path, '.dockerignore'), 'hidden\n')
  const url = await repository('more', { r: '1' })
  await using stack = new AsyncDisposableStack()
  const flags = [
    'a=oci-layout:///x/y',
    'b=oci-layout:///x/y:v1',
    'c=docker-image://alpine:3',
    `d=${dir.path}`,
    `e=${url}`,
  ]
  const contexts = await readContexts(
    [...flags, `f::linux/arm64=oci-layout://z@sha256:${'a'.repeat(64)}`],
    options(),
    stack,
    signal,
  )
  expect(contexts).toMatchObject({
    a: { kind: 'oci-layout', path: '/x/y', reference: null },
    b: { kind: 'oci-layout', path: '/x/y', reference: 'v1' },
    c: { kind: 'image', reference: 'alpine:3' },
    'f::linux/arm64': { kind: 'oci-layout', path: 'z', reference: `sha256:${'a'.repeat(64)}` },
  })
  const { d, e } = contexts
  expect(d?.kind === 'context' ? await list(d.context) : []).toEqual(expect.arrayContaining(['seen']))
  expect(d?.kind === 'context' ? await list(d.context) : []).not.toContain('hidden')
  expect(e?.kind === 'context' ? await list(e.context) : []).toEqual(['r'])
})

test.for(['x=', 'x=-', 'x=/surely/not/there', 'x=ftp://h/x.tar', 'x=ext::sh', 'x=docker-image://Bad!'])(
  '--build-context %s is a mistake',
  async (flag) => {
    await using stack = new AsyncDisposableStack()
    await expect(readContexts([flag], options(), stack, signal)).rejects.toThrow(UsageError)
  },
)

test.for([
  ['-', 'stdin', true],
  ['.', 'directory', false],
  ['/surely/not/there', 'directory', false],
  ['https://h/n.git#main', 'git', true],
  ['git@h:n.git', 'git', true],
  ['github.com/a/b', 'git', true],
  ['https://h/x.tar.gz', 'url', true],
] as const)('%s is %s', ([place, kind, isFar]) => {
  expect([kindOfPlace(place), isRemote(place)]).toEqual([kind, isFar])
})

test('what is no directory is said to be none', async () => {
  await expect(openContext('/surely/not/there', options(), signal)).rejects.toThrow('is not a directory')
})

describe('-f', () => {
  test('may name a file elsewhere, with an ignore file of its own', async () => {
    const context = join(dir.path, 'context')
    await mkdir(context)
    await mkdir(join(dir.path, 'docker'))
    for (const name of ['a', 'b']) await writeFile(join(context, name), '')
    await writeFile(join(context, '.dockerignore'), 'a\n')
    await writeFile(join(dir.path, 'docker', 'dockerfile'), 'FROM scratch\n')
    const open = async () => {
      const { dockerfile, ...more } = await findDockerfile(context, join(dir.path, 'docker', 'Dockerfile'), signal)
      expect(dockerfile).toEqual({ name: 'dockerfile', text: 'FROM scratch\n' })
      await using opened = await openContext(context, { ...options(), ...more }, signal)
      return await list(opened)
    }
    expect(await open()).toEqual(['.dockerignore', 'b'])
    await writeFile(join(dir.path, 'docker', 'dockerfile.dockerignore'), 'b\n')
    expect(await open()).toEqual(['.dockerignore', 'a'])
  })

  test('inside of the context is a path in it, and what is not there is said', async () => {
    expect(await findDockerfile(dir.path, join(dir.path, '..x'), signal)).toEqual({ dockerfile: { path: '..x' } })
    expect(await findDockerfile('https://h/n.git', 'x/Dockerfile', signal)).toEqual({
      dockerfile: { path: 'x/Dockerfile' },
    })
    await expect(findDockerfile('-', '-', signal)).rejects.toThrow(UsageError)
    const gone = join(tmpdir(), 'surely-not-there')
    await expect(findDockerfile(dir.path, gone, signal)).rejects.toMatchObject({
      kind: 'dockerfile-invalid',
      message: expect.stringContaining(`failed to read dockerfile: open ${gone}: no such file or directory`),
    })
  })
})
