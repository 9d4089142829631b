import { mkdir, mkdtempDisposable, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type BuildRequest, DEFAULT_RUN_SETTINGS } from '#buildkit-lite'
import type { Recipe } from '../support/dockerfile-case.ts'
import { makeFiles } from '../support/make-files.ts'
import { type BuildBench, openBuildBench } from './build-bench.ts'

let bench: BuildBench
let scopes = 0
beforeAll(async () => {
  bench = await openBuildBench('pairs')
})
afterAll(async () => await bench?.[Symbol.asyncDispose]())

/** One of two builds: lines below `FROM busybox`, files beside them, and what else is asked for. */
type Side = readonly [lines: string, files?: Recipe, change?: Partial<BuildRequest>]

interface Second {
  ran: string[]
  reasons: (string | null)[]
}

/** Builds one side after the other, and resolves with the steps that ran for the second, and why. */
async function buildPair(...sides: readonly Side[]): Promise<Second> {
  const cacheScope = `pair ${scopes++}`
  let second: Second = { ran: [], reasons: [] }
  for (const [lines, files = {}, change = {}] of sides) {
    await using dir = await mkdtempDisposable(join(bench.dataDir, 'pair-'))
    const path = join(dir.path, 'context')
    await mkdir(path)
    const dockerfile = lines.startsWith('FROM') ? lines : `FROM busybox\n${lines}`
    await makeFiles({ ...files, Dockerfile: `${dockerfile}\n` }, path)
    for (const name of Object.keys(files)) if (!name.includes('link')) await utimes(join(path, name), scopes, scopes++)
    const built = bench.buildDirectory(path, { ...change, cacheScope })
    second = await built.then(
      ({ ran, reasons }) => ({ ran, reasons }),
      (error: Error) => {
        if (error.message.includes('exit code: 1')) return { ran: ['failed'], reasons: [] }
        throw error
      },
    )
  }
  return second
}

const COPY = 'COPY f /x'
const RUN = 'RUN true'
const SECRET = (value: string) => ({ secrets: { s: Buffer.from(value) } })
const MOUNT = (mount: string): Side => [`RUN --mount=${mount} true`, { 'd/f': 'F', 'e/f': 'F', other: '1' }]
const run = (change: Partial<BuildRequest['run']>) => ({ run: { ...DEFAULT_RUN_SETTINGS, ...change } })
const host = (name: string, address: string) => ({ extraHosts: [{ name, address }] })

test.for<[string, Side, Side]>([
  ['owner and time of a file', [COPY, { f: 'F' }], [COPY, { f: { text: 'F', owner: [5, 6] } }]],
  ['a file that is not copied', [COPY, { f: 'F' }], [COPY, { f: 'F', g: 'G' }]],
  [
    'an ignored file',
    ['COPY . /x', { '.dockerignore': 'i\nDockerfile', f: 'F', i: '1' }],
    ['COPY . /x', { '.dockerignore': 'i\nDockerfile', f: 'F', i: '2' }],
  ],
  [
    'an excluded file',
    ['COPY --exclude=i d /x', { 'd/f': 'F', 'd/i': '1' }],
    ['COPY --exclude=i d /x', { 'd/f': 'F', 'd/i': '2' }],
  ],
  [
    'a file from another directory',
    ['COPY a/f /x', { 'a/f': 'F', 'b/f': 'F' }],
    ['COPY b/f /x', { 'a/f': 'F', 'b/f': 'F' }],
  ],
  ['a directory of the same name from elsewhere', ['COPY a/d /x', { 'a/d/f': 'F' }], ['COPY b/d /x', { 'b/d/f': 'F' }]],
  ['comments and blank lines', ['RUN true \\\n && true', {}], ['# one\n\nRUN true \\\n# two\n && true', {}]],
  [
    'instructions about the image',
    [`${RUN}\n${COPY}`, { f: 'F' }],
    [
      `LABEL a=b\nEXPOSE 1\nVOLUME /v\nCMD c\nENTRYPOINT e\nHEALTHCHECK NONE\nSTOPSIGNAL 9\nMAINTAINER m\nONBUILD RUN x\n${RUN}\n${COPY}`,
      { f: 'F' },
    ],
  ],
  ['a variable, for COPY', [`ENV A=1\n${COPY}`, { f: 'F' }], [`ENV A=2 B=1\n${COPY}`, { f: 'F' }]],
  ['an argument, for COPY', [`ARG A=1\n${COPY}`, { f: 'F' }], [`ARG A=2\n${COPY}`, { f: 'F' }]],
  ['an argument below', [`${RUN}\nARG A=1`], [`${RUN}\nARG A=2`]],
  ['an argument that is not declared', [RUN, {}, { buildArgs: { A: '1' } }], [RUN, {}, { buildArgs: { A: '2' } }]],
  ['an argument that a variable hides', [`ARG A=1\nENV A=x\n${RUN}`], [`ARG A=2\nENV A=x\n${RUN}`]],
  [
    'a proxy',
    [RUN, {}, { buildArgs: { HTTP_PROXY: 'http://a' } }],
    [RUN, {}, { buildArgs: { HTTP_PROXY: 'http://b' } }],
  ],
  ['the platform that it is anyway', [RUN], [RUN, {}, { platformGiven: true }]],
  ['the shell that there is anyway', [RUN], [`SHELL ["/bin/sh", "-c"]\n${RUN}`]],
  ['user and shell, for COPY', [COPY, { f: 'F' }], [`USER app\nSHELL ["sh", "-ec"]\n${COPY}`, { f: 'F' }]],
  ['the shell’s form written out', [RUN], ['RUN ["/bin/sh", "-c", "true"]']],
  [
    'the value of a secret',
    ['RUN --mount=type=secret,id=s true', {}, SECRET('1')],
    ['RUN --mount=type=secret,id=s true', {}, SECRET('2')],
  ],
  [
    'a secret that is not there',
    ['RUN --mount=type=secret,id=s true', {}, SECRET('1')],
    ['RUN --mount=type=secret,id=s true'],
  ],
  ['who may share a cache', MOUNT('type=cache,target=/c'), MOUNT('type=cache,target=/c,sharing=locked')],
  [
    'files beside a mounted directory',
    MOUNT('source=d,target=/m'),
    [MOUNT('source=d,target=/m')[0], { 'd/f': 'F', other: '2' }],
  ],
  ['a mounted directory of another name', MOUNT('source=d,target=/m'), MOUNT('source=e,target=/m')],
  ['the address of a host', [RUN, {}, host('h', '10.0.0.1')], [RUN, {}, host('h', '10.0.0.2')]],
  [
    'bounds of memory',
    [RUN, {}, run({})],
    [RUN, {}, run({ resources: { ...DEFAULT_RUN_SETTINGS.resources, memoryBytes: 1 << 28 } })],
  ],
  [
    'another target',
    ['FROM busybox AS a\nRUN true\nFROM a AS b\nRUN false', {}, { target: 'a' }],
    ['FROM busybox AS a\nRUN true\nFROM a AS b\nLABEL a=b'],
  ],
  [
    'the time of the source',
    [RUN, {}, { buildArgs: { SOURCE_DATE_EPOCH: '1' } }],
    [RUN, {}, { buildArgs: { SOURCE_DATE_EPOCH: '2' } }],
  ],
])('nothing runs again for %s', async ([, one, two]) => {
  expect((await buildPair(one, two)).ran).toEqual([])
})

test.for<[string, Side, Side, string]>([
  ['the content of a file', [COPY, { f: 'F' }], [COPY, { f: 'G' }], 'f changed'],
  ['the mode of a file', [COPY, { f: 'F' }], [COPY, { f: { text: 'F', mode: '0755' } }], 'f changed'],
  [
    'the mode of a directory',
    ['COPY d /x', { 'd/f': 'F' }],
    ['COPY d /x', { d: { directory: '0700' }, 'd/f': 'F' }],
    'd changed',
  ],
  [
    'where a link leads',
    ['COPY d /x', { 'd/link': { link: 'a' } }],
    ['COPY d /x', { 'd/link': { link: 'b' } }],
    'd/link changed',
  ],
  ['the name of a file', ['COPY f /x', { f: 'F' }], ['COPY g /x', { g: 'F' }], 'f, g changed'],
  [
    'the name of a directory',
    ['COPY d1 /x', { 'd1/f': 'F' }],
    ['COPY d2 /x', { 'd2/f': 'F' }],
    'd1, d1/f, d2 and 1 more changed',
  ],
  [
    'a file more that matches',
    ['COPY *.t /x/', { 'a.t': 'F' }],
    ['COPY *.t /x/', { 'a.t': 'F', 'b.t': 'F' }],
    'b.t was added',
  ],
  ['the destination', [COPY, { f: 'F' }], ['COPY f /y', { f: 'F' }], 'destination changed'],
  ['--chown', [COPY, { f: 'F' }], ['COPY --chown=1 f /x', { f: 'F' }], '--chown was added'],
  ['--chmod', [COPY, { f: 'F' }], ['COPY --chmod=600 f /x', { f: 'F' }], '--chmod was added'],
  ['--link', [COPY, { f: 'F' }], ['COPY --link f /x', { f: 'F' }], '--link was added'],
  ['a heredoc’s text', ['COPY <<E /x\n1\nE'], ['COPY <<E /x\n2\nE'], 'heredoc E changed'],
  ['a heredoc’s name', ['COPY <<E /x\n1\nE'], ['COPY <<F /x\n1\nF'], 'heredoc F was added'],
  ['a blank in a command', ['RUN echo  a'], ['RUN echo a'], 'RUN command changed'],
  ['a variable', [`ENV A=1\n${RUN}`], [`ENV A=2\n${RUN}`], 'ENV A changed'],
  ['the order of variables', [`ENV A=1 B=1\n${RUN}`], [`ENV B=1 A=1\n${RUN}`], 'the order of variables changed'],
  ['an argument above', [`ARG A=1\n${RUN}`], [`ARG A=2\n${RUN}`], 'ARG A changed'],
  [
    'an argument’s given value',
    [`ARG A\n${RUN}`, {}, { buildArgs: { A: '1' } }],
    [`ARG A\n${RUN}`, {}, { buildArgs: { A: '2' } }],
    'ARG A changed',
  ],
  [
    'a proxy that is declared',
    [`ARG HTTP_PROXY\n${RUN}`, {}, { buildArgs: { HTTP_PROXY: 'a' } }],
    [`ARG HTTP_PROXY\n${RUN}`, {}, { buildArgs: { HTTP_PROXY: 'b' } }],
    'ARG HTTP_PROXY changed',
  ],
  ['the user', [RUN], [`USER app\n${RUN}`], 'USER changed'],
  ['the shell', [RUN], [`SHELL ["/bin/sh", "-ec"]\n${RUN}`], 'shell or program of RUN changed'],
  [
    'the id of a secret',
    MOUNT('type=secret,id=s'),
    MOUNT('type=secret,id=t'),
    '--mount type=secret of /run/secrets/t was added',
  ],
  [
    'the id of a cache',
    MOUNT('type=cache,target=/c'),
    MOUNT('type=cache,target=/c,id=other'),
    '--mount type=cache of /c changed',
  ],
  [
    'the place of a cache',
    MOUNT('type=cache,target=/c,id=i'),
    MOUNT('type=cache,target=/d,id=i'),
    '--mount type=cache of /d was added',
  ],
  [
    'the mode of a cache',
    MOUNT('type=cache,target=/c'),
    MOUNT('type=cache,target=/c,mode=0700'),
    '--mount type=cache of /c changed',
  ],
  ['a mounted file', MOUNT('source=d,target=/m'), [MOUNT('source=d,target=/m')[0], { 'd/f': 'G' }], 'f changed'],
  ['a variable that is gone', [`ENV A=1 B=2\n${RUN}`], [`ENV A=1\n${RUN}`], 'ENV B was removed'],
  [
    'the size of a tmpfs',
    MOUNT('type=tmpfs,target=/t'),
    MOUNT('type=tmpfs,target=/t,size=1m'),
    '--mount type=tmpfs of /t changed',
  ],
  [
    'the network',
    [RUN, {}, { network: 'default' }],
    ['RUN --network=none true', {}, { network: 'default' }],
    '--network changed',
  ],
  ['the name of a host', [RUN, {}, host('h', '10.0.0.1')], [RUN, {}, host('i', '10.0.0.1')], '--add-host changed'],
  [
    'the machine’s own name',
    [RUN],
    [RUN, {}, { buildArgs: { BUILDKIT_SANDBOX_HOSTNAME: 'other' } }],
    'hostname changed',
  ],
  ['shared memory', [RUN], [RUN, {}, run({ shmSizeBytes: 1 << 20 })], '--shm-size was added'],
  ['a limit', [RUN], [RUN, {}, run({ ulimits: [{ name: 'nofile', soft: 99, hard: 99 }] })], '--ulimit was added'],
])('a step runs again for %s', async ([, one, two, reason]) => {
  const { ran, reasons } = await buildPair(one, two)
  expect(ran).toHaveLength(1)
  expect(ran).not.toContain('failed')
  expect(reasons).toEqual([reason])
})

test.for<[string, Side, Side, string[]]>([
  [
    'another working directory: all below',
    [`WORKDIR /tmp\n${RUN}\n${COPY}`, { f: 'F' }],
    [`WORKDIR /etc\n${RUN}\n${COPY}`, { f: 'F' }],
    ['WORKDIR /etc', RUN, COPY],
  ],
  [
    'a step above: all below but a linked copy',
    [`RUN echo 1 > /1\n${RUN}\n${COPY}\nCOPY --link f /l`, { f: 'F' }],
    [`RUN echo 2 > /1\n${RUN}\n${COPY}\nCOPY --link f /l`, { f: 'F' }],
    ['RUN echo 2 > /1', RUN, COPY],
  ],
  [
    'a stage that gives the same: those made on it, not those that read it',
    [
      'FROM busybox AS a\nRUN touch -t 200001010000 /f /home\nFROM a AS b\nRUN true\nFROM busybox\nCOPY --from=a /f /f\nRUN --mount=from=b,target=/m true',
    ],
    [
      'FROM busybox AS a\nRUN : && touch -t 200001010000 /f /home\nFROM a AS b\nRUN true\nFROM busybox\nCOPY --from=a /f /f\nRUN --mount=from=b,target=/m true',
    ],
    ['RUN : && touch -t 200001010000 /f /home', RUN],
  ],
  [
    'the time of the source, which a working directory has',
    [`WORKDIR /w\n${RUN}`, {}, { buildArgs: { SOURCE_DATE_EPOCH: '1' } }],
    [`WORKDIR /w\n${RUN}`, {}, { buildArgs: { SOURCE_DATE_EPOCH: '2' } }],
    ['WORKDIR /w', RUN],
  ],
  [
    'a step that failed, not those before it',
    ['RUN echo 1 > /1\nRUN echo 2 > /2\nRUN false'],
    ['RUN echo 1 > /1\nRUN echo 2 > /2\nRUN true'],
    [RUN],
  ],
  [
    'no cache at all',
    [`${RUN}\n${COPY}`, { f: 'F' }],
    [`${RUN}\n${COPY}`, { f: 'F' }, { useCache: false }],
    [RUN, COPY],
  ],
])('what runs again for %s', async ([, one, two, expected]) => {
  const { ran } = await buildPair(one, two)
  expect(ran.toSorted()).toEqual(expected.toSorted())
})

test('a step that failed runs again, although nothing changed', async () => {
  expect((await buildPair(['RUN false'], ['RUN false'])).ran).toEqual(['failed'])
})
