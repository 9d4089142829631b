import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { exited, spawn } from '#host/exec'
import { type BuildBench, openBuildBench } from './build-bench.ts'

let bench: BuildBench
type Change = Parameters<BuildBench['buildFiles']>[1]

beforeAll(async () => {
  bench = await openBuildBench('mounts')
})
afterAll(() => bench[Symbol.asyncDispose]())

const FILES = { 'd/x': 'dx\n', 'd/sub/y': 'dy\n', f: 'file\n' }

/** The output of the instructions on busybox. */
async function outputOf(instructions: string, change: Change = {}): Promise<string> {
  return (await bench.buildFiles({ Dockerfile: `FROM busybox\n${instructions}\n`, ...FILES }, change)).output
}

describe('bind', () => {
  test('shows directories and files, read-only, and leaves nothing behind', async () => {
    const instructions = `WORKDIR /w
RUN --mount=target=. ls; cat d/x
RUN --mount=source=f,target=/etc/passwd cat /etc/passwd; echo x > /etc/passwd
RUN --mount=source=d,target=rel touch rel/z; ls /w
RUN --mount=source=d,target=/new/deep/m,rw touch /new/deep/m/z && rm /new/deep/m/x && ls /new/deep/m
RUN --mount=source=d,target=/new/deep/m,rw ls /new/deep/m
RUN ls -d /new /w/rel 2>&1; ls /w; cat /etc/passwd`
    const text = instructions
      .replaceAll('touch rel/z;', 'touch rel/z 2>&1;')
      .replaceAll('/etc/passwd\nRUN', '/etc/passwd 2>&1 || true\nRUN')
    const output = await outputOf(text)
    expect(output).toContain('Dockerfile\nd\nf\ndx\n')
    expect(output).toMatch(/^file$/m)
    expect(output).toMatch(/passwd: Read-only file system/)
    expect(output).toMatch(/rel\/z: Read-only file system/)
    expect(output).toContain('sub\nz\nsub\nx\n')
    expect(output).toMatch(/\/new: No such file[^]*\/w\/rel: No such file[^]*app:x:1001/)
  })

  test('its mount points and their parents stay where the step put something beside them', async () => {
    const output = await outputOf(
      'RUN --mount=target=/a/b/c touch /a/kept\nRUN find /a; stat -c %a /a\nRUN --mount=target=/a/b/c,rw true\nRUN find /a',
    )
    expect(output).toBe('/a\n/a/kept\n755\n/a\n/a/kept\n')
  })

  test('children are mounted after their parents, whichever comes first', async () => {
    const output = await outputOf(
      'RUN --mount=type=tmpfs,target=/m/sub --mount=source=d,target=/m ls /m; touch /m/sub/new && ls /m/sub',
    )
    expect(output).toBe('sub\nx\nnew\n')
  })

  test('a child of a mount has its place in that one, whatever the image has there', async () => {
    const output = await outputOf(
      'RUN mkdir /m && touch /m/sub\nRUN --mount=source=d,target=/m --mount=type=tmpfs,target=/m/sub touch /m/sub/new && ls /m/sub\nRUN ls -F /m',
    )
    expect(output).toBe('new\nsub\n')
  })

  test('takes files of stages and images, and links lead nowhere outside', async () => {
    const dockerfile = `FROM busybox AS made
RUN mkdir -p /s && echo made > /s/f && ln -s /s /abs && ln -s ../../../../../../s /up && ln -s /etc/hostname /s/out
FROM busybox
RUN --mount=from=made,source=/abs,target=/one --mount=from=made,source=up,target=/two cat /one/f /two/f
RUN --mount=from=made,source=abs/f,target=/one cat /one
RUN --mount=from=busybox,source=/etc,target=/m ls /m
`
    const { output } = await bench.buildFiles({ Dockerfile: dockerfile })
    expect(output).toBe('made\nmade\nmade\npasswd\n')
  })

  test.for<[string, string]>([
    ['source=nope,target=/m', '"/nope": not found'],
    ['from=busybox,source=/etc/nope,target=/m', '"/etc/nope": not found'],
    ['source=d/x/y,target=/m', '"/d/x/y": not found'],
  ])('%s: %s', async ([flag, message]) => {
    await expect(outputOf(`RUN --mount=${flag} true`)).rejects.toMatchObject({
      kind: 'context-invalid',
      line: 2,
      message: expect.stringContaining(message),
    })
  })

  test('only what is mounted is in the key', async () => {
    const ran = async (files: Record<string, string>) => {
      const dockerfile = 'FROM busybox\nRUN --mount=source=d,target=/m ls -R /m\n'
      return (await bench.buildFiles({ Dockerfile: dockerfile, ...files })).ran.length
    }
    expect(await ran({ 'd/k': '1', other: '1' })).toBe(1)
    expect(await ran({ 'd/k': '1', other: '2' })).toBe(0)
    expect(await ran({ 'd/k': '2', other: '2' })).toBe(1)
    const dockerfile = (source: string) => `FROM busybox\nRUN --mount=source=${source},target=/m ls /m/k\n`
    expect((await bench.buildFiles({ Dockerfile: dockerfile('one'), 'one/k': '' })).ran).toHaveLength(1)
    expect((await bench.buildFiles({ Dockerfile: dockerfile('two'), 'two/k': '' })).ran).toHaveLength(0)
  })
})

test.for<[string, string, string]>([
  ['a file on a directory', 'RUN mkdir /dir', 'source=f,target=/dir'],
  ['a directory on a file', 'RUN touch /file', 'source=d,target=/file'],
  ['below what cannot be written', 'RUN true', 'source=d,target=/m --mount=type=tmpfs,target=/m/new'],
  ['a file of /proc', 'RUN true', 'source=f,target=/proc/kcore'],
  ['something below a file', 'RUN touch /file', 'source=d,target=/file/sub'],
])('a mount of %s is the author’s to mend', async ([, before, mounts]) => {
  await expect(outputOf(`${before}\nRUN --mount=${mounts} true`)).rejects.toMatchObject({
    kind: 'step-failed',
    line: 3,
  })
})

describe('tmpfs', () => {
  test('is empty, anybody’s, and of its size', async () => {
    const show = "stat -c '%a %u' /t; ls /t; grep ' /t ' /proc/mounts; touch /t/x"
    const output = await outputOf(
      `RUN --mount=type=tmpfs,target=/t ${show}\nRUN --mount=type=tmpfs,target=/t,size=8m true; ${show}\nRUN ls -d /t 2>&1 || true`,
    )
    expect(output).toMatch(
      /^1777 0\ntmpfs \/t tmpfs rw[^\n]*\n1777 0\ntmpfs \/t tmpfs [^\n]*size=8192k[^\n]*\nls: \/t: No such/,
    )
  })
})

describe('secret', () => {
  const secrets = { key: Buffer.from('hush\n'), other: Buffer.from('o') }

  test('is a file of its own, a variable, or both', async () => {
    const show = (path: string) => `stat -c '%n %a %u %g' ${path}; cat ${path}`
    const output = await outputOf(
      `RUN --mount=type=secret,id=key ${show('/run/secrets/key')}; grep secrets/key /proc/mounts; echo x 2>&1 > /run/secrets/key || true
WORKDIR /w
RUN --mount=type=secret,id=key,target=rel/k,mode=0444,uid=5,gid=6 ${show('/w/rel/k')}
RUN --mount=type=secret,target=/etc/key ${show('/etc/key')}
RUN --mount=type=secret,source=key ${show('/run/secrets/key')}
RUN --mount=type=secret,id=other,env=OTHER echo "[$OTHER]"; ls /run 2>&1 || true
RUN --mount=type=secret,id=other,env=OTHER,target=/o echo "[$OTHER]"; cat /o; echo
RUN --mount=type=secret,id=absent,env=ABSENT ls /run/secrets 2>&1; echo "[\${ABSENT-unset}]"
RUN ls -d /run /w/rel /etc/key 2>&1; env`,
      { secrets },
    )
    expect(output).toMatch(/^\/run\/secrets\/key 400 0 0\nhush\ntmpfs \/run\/secrets\/key tmpfs ro,[^\n]*noexec/)
    expect(output).toContain('/w/rel/k 444 5 6\nhush\n/etc/key 400 0 0\nhush\n/run/secrets/key 400 0 0\nhush\n')
    expect(output).toMatch(/\[o\]\nls: \/run: No such[^\n]*\n\[o\]\no\n/)
    expect(output).toMatch(/ls: \/run\/secrets: No such[^\n]*\n\[unset\]\n/)
    expect(output).toMatch(/ls: \/run: No such[^\n]*\nls: \/w\/rel: No such[^\n]*\nls: \/etc\/key: No such/)
    expect(output.split('OTHER=')).toHaveLength(1)
  })

  test('that has to be there is asked for by its id', async () => {
    await expect(outputOf('RUN --mount=type=secret,id=zz,required true')).rejects.toMatchObject({
      kind: 'step-failed',
      line: 2,
      message: 'secret zz: not found',
    })
    await expect(outputOf('RUN --mount=type=secret,id=toString,required true')).rejects.toThrow(
      'secret toString: not found',
    )
  })

  test('its value and presence are no part of the key; its id, file and variable are', async () => {
    const ran = async (fields: string, change: Change = {}) => {
      const dockerfile = `FROM busybox\nRUN --mount=type=secret,${fields} echo secretive\n`
      return (await bench.buildFiles({ Dockerfile: dockerfile }, change)).ran.length
    }
    expect(await ran('id=key', { secrets })).toBe(1)
    expect(await ran('id=key', { secrets: { key: Buffer.from('new') } })).toBe(0)
    expect(await ran('id=key')).toBe(0)
    expect(await ran('id=key,required=false')).toBe(0)
    expect(await ran('id=other')).toBe(1)
    expect(await ran('id=key,target=/x')).toBe(1)
    expect(await ran('id=key,env=X')).toBe(1)
  })
})

describe('cache', () => {
  /** Every step has a number of its own, so that none is cached. */
  let salt = 0
  const run = (mount: string, script: string) => `RUN --mount=type=cache,${mount} ${script}; : ${salt++}`

  test('is one directory for one id, of root and 0755, and no part of the image', async () => {
    const output = await outputOf(
      [
        run('target=/c1,id=one', "echo 1 > /c1/a; stat -c '%a %u %g' /c1"),
        run('target=/other,id=one', 'cat /other/a'),
        run('target=/c1', 'ls /c1'),
        run('target=/c1/,ro', 'touch /c1/x 2>&1 || true'),
        'RUN ls -d /c1 /other 2>&1 || true',
      ].join('\n'),
    )
    expect(output).toMatch(/^755 0 0\n1\ntouch: \/c1\/x: Read-only file system\nls: \/c1: No such/)
  })

  test('a relative target is one cache in every working directory', async () => {
    const output = await outputOf(
      ['WORKDIR /w1', run('target=here', 'echo found > here/f'), 'WORKDIR /w2', run('target=here', 'cat here/f')].join(
        '\n',
      ),
    )
    expect(output).toBe('found\n')
  })

  test('of a stated owner is another one than that without, and made again without the step cache', async () => {
    const own = 'target=/o,id=owned,mode=0700,uid=1001,gid=1002'
    const text = [
      run('target=/o,id=owned', 'touch /o/root'),
      run(own, "stat -c '%a %u %g' /o; ls /o; touch /o/own"),
      run(own, 'ls /o; chmod 777 /o'),
    ].join('\n')
    expect(await outputOf(text)).toBe('700 1001 1002\nown\n')
    const again = [run(own, "stat -c '%a %u %g' /o; ls /o"), run('target=/o,id=owned', 'ls /o')].join('\n')
    expect(await outputOf(again, { useCache: false })).toBe('700 1001 1002\nroot\n')
  })

  test('begins with the files it is given, links inside their own root', async () => {
    const dockerfile = (text: string) => `FROM busybox AS seed
RUN mkdir -m 0750 /s && echo ${text} > /s/f && chown -R 7:8 /s && ln -s /s /abs && ln -s ../../../../../etc /s/up
FROM busybox
${run('from=seed,source=/abs,target=/q,id=seeded,mode=0700', "cat /q/f; stat -c '%a %u %g' /q; ls -l /q/up | grep -c etc; echo more >> /q/f")}
${run('from=seed,source=/abs,target=/q,id=seeded,ro', 'cat /q/f')}
`
    expect((await bench.buildFiles({ Dockerfile: dockerfile('first') })).output).toBe(
      'first\n750 7 8\n1\nfirst\nmore\n',
    )
    // Other files are another cache.
    expect((await bench.buildFiles({ Dockerfile: dockerfile('second') })).output).toContain('second\n750 7 8\n')
    await expect(outputOf(run('from=busybox,source=/nope,target=/q', 'true'))).rejects.toThrow('"/nope": not found')
  })

  test('a namespace has caches of its own', async () => {
    const buildArgs = { BUILDKIT_CACHE_MOUNT_NS: 'apart' }
    expect(await outputOf(run('target=/n,id=ns', 'touch /n/plain; ls /n'))).toBe('plain\n')
    expect(await outputOf(run('target=/n,id=ns', 'ls /n; touch /n/apart'), { buildArgs })).toBe('')
    expect(await outputOf(run('target=/n,id=ns', 'ls /n'), { buildArgs })).toBe('apart\n')
  })

  test('the key has its target, whether it is named, owner and namespace, and neither its name, files nor sharing', async () => {
    const ran = async (fields: string, buildArgs = {}) => {
      const dockerfile = `FROM busybox\nRUN --mount=type=cache,target=/k,${fields} echo cached\n`
      return (await bench.buildFiles({ Dockerfile: dockerfile }, { buildArgs })).ran.length
    }
    const counts = [
      await ran('ro=false'),
      await ran('sharing=locked'),
      await ran('id=a'),
      await ran('id=b'),
      await ran('mode=0700'),
      await ran('uid=7'),
      await ran('id=b', { BUILDKIT_CACHE_MOUNT_NS: 'apart' }),
      await ran('target=/k2'),
    ]
    expect(counts).toEqual([1, 0, 1, 0, 1, 1, 1, 1])
  })

  test('is made again where only the cache of its stage is not used', async () => {
    const own = (script: string) => `FROM busybox AS made\n${run('target=/s,id=stage,mode=0711', script)}\n`
    const outputs = [
      await bench.buildFiles({ Dockerfile: own('touch /s/old; ls /s') }),
      await bench.buildFiles({ Dockerfile: own('touch /s/new; ls /s') }, { noCacheStages: ['made'] }),
      await bench.buildFiles({ Dockerfile: own('ls /s') }, { noCacheStages: ['other'] }),
    ].map(({ output }) => output)
    expect(outputs).toEqual(['old\n', 'new\n', 'new\n'])
  })

  /** Two builds at once, each of a step of its own. */
  const both = async (mount: string, scripts: readonly [string, string]) =>
    await Promise.all(scripts.map((script) => outputOf(run(mount, script))))
  const meet = (mine: string, other: string) =>
    `touch /meet/${mine}; i=0; until [ -e /meet/${other} ]; do sleep 0.01; i=$((i+1)); [ $i -lt 1000 ] || exit 9; done`

  test('shared: two steps have it at the same time', async () => {
    await both('target=/meet,id=meet-shared', [meet('a', 'b'), meet('b', 'a')])
  })

  test('private: the second one has a fresh directory', async () => {
    const mount = 'target=/meet,id=meet-private --mount=type=cache,target=/p,id=p,sharing=private'
    expect(await outputOf(run('target=/p,id=p,sharing=private', 'touch /p/old; ls /p'))).toBe('old\n')
    const outputs = await both(mount, [`ls /p; ${meet('a', 'b')}`, `ls /p; ${meet('b', 'a')}`])
    expect(outputs.sort()).toEqual(['', 'old\n'])
  })

  test('locked: the second one waits, and two locks are taken in one order', async () => {
    const alone = (dir: string) => `mkdir /${dir}/busy && sleep 0.1 && rm -r /${dir}/busy`
    const scripts = [`${alone('l')} && ${alone('m')}`, `${alone('m')} && ${alone('l')}`] as const
    await Promise.all([
      outputOf(run('target=/l,id=l,sharing=locked --mount=type=cache,target=/m,id=m,sharing=locked', scripts[0])),
      outputOf(run('target=/m,id=m,sharing=locked --mount=type=cache,target=/l,id=l,sharing=locked', scripts[1])),
    ])
  })

  test('locked: twice in one step is no trouble', async () => {
    const mount = 'target=/l,id=twice,sharing=locked --mount=type=cache,target=/m,id=twice,sharing=locked'
    expect(await outputOf(run(mount, 'touch /l/x; ls /m'))).toBe('x\n')
  })

  test('locked: another process has it, and its death sets it free', async () => {
    const locks = join(bench.tools.stateDir, 'cache-locks')
    const before = new Set(readdirSync(locks))
    await outputOf(run('target=/l,id=elsewhere,sharing=locked', 'touch /l/x'))
    const lock = join(locks, readdirSync(locks).find((name) => !before.has(name)) ?? '')
    const holder = spawn('flock', [lock, 'sh', '-c', 'echo held; read forever'], { stdio: ['pipe', 'pipe', 'inherit'] })
    await new Promise((resolve) => holder.stdout?.once('data', resolve))
    const waiting = outputOf(run('target=/l,id=elsewhere,sharing=locked', 'ls /l'))
    // The kernel marks those who wait by an arrow.
    const waits = new RegExp(`-> FLOCK .*:${statSync(lock).ino} `)
    await vi.waitFor(() => expect(readFileSync('/proc/locks', 'utf8')).toMatch(waits), 10_000)
    holder.stdin?.end()
    await exited(holder)
    expect(await waiting).toBe('waiting for the cache elsewhere, which another step has\nx\n')
  })
})
