import { describe, expect, test } from 'vitest'
import { SourceError } from '#domain/errors'
import type { RunMount, RunOperation } from '../../../buildkit-lite/plan/plan.ts'
import type { PlanInput } from '../../../buildkit-lite/plan/plan-input.ts'
import { plan } from './plan-text.ts'

async function lastRun(text: string, input: Partial<PlanInput> = {}): Promise<RunOperation> {
  const { steps } = await plan(text, input)
  const operation = steps.findLast((step) => step.operation.kind === 'run')?.operation
  if (operation?.kind !== 'run') throw new Error('nothing runs')
  return operation
}

/** The one mount of a RUN in `/w`. */
async function mountOf(flag: string, buildArgs: Record<string, string> = {}): Promise<RunMount | undefined> {
  const text = `FROM base AS other\nRUN true\nFROM base\nARG V=val\nWORKDIR /w\nRUN --mount=${flag} true\n`
  return (await lastRun(text, { buildArgs })).mounts[0]
}

const context = { kind: 'context', name: null }
const other = { kind: 'step', fileSystem: 1 }

describe('a mount that is meant', () => {
  test.for<[string, object]>([
    ['target=.', { kind: 'bind', from: context, source: '/', target: '/w', readonly: true }],
    ['source=d,target=/a/../m/', { source: '/d', target: '/m', readonly: true }],
    ['src=../d,dst=rel,rw', { source: '/d', target: '/w/rel', readonly: false }],
    ['type=bind,destination=/m,ro=false', { readonly: false }],
    ['TYPE=Bind,TARGET=/m,readwrite=0', { readonly: true }],
    ['target=/m,rw=t', { readonly: false }],
    ['target=/m,rw,ro', { readonly: true }],
    ['target=/m,env=IGNORED', { kind: 'bind' }],
    ['from=other,target=/m', { from: other, source: '/' }],
    ['target=/$V/${V}x', { target: '/val/valx' }],
    ['type=tmpfs,target=/t', { kind: 'tmpfs', target: '/t', sizeBytes: null }],
    ['type=tmpfs,target=/t,size=1.5k', { sizeBytes: 1536 }],
    ['type=tmpfs,target=/t,size=64MiB', { sizeBytes: 64 << 20 }],
    ['type=tmpfs,target=/t,size=2g', { sizeBytes: 2 * 2 ** 30 }],
    ['type=cache,target=rel/', { kind: 'cache', id: 'rel', target: '/w/rel', sharing: 'shared', readonly: false }],
    ['type=cache,target=/c/', { id: '/c', target: '/c', mode: 0o755, uid: 0, gid: 0 }],
    ['mode=0700,uid=5,gid=6,type=cache,target=/c', { mode: 0o700, uid: 5, gid: 6, isOwned: true }],
    ['sharing=locked,type=cache,target=/c,ro', { sharing: 'locked', readonly: true }],
    ['type=cache,target=/c,id=$V,sharing=private', { id: 'val', isNamed: true, sharing: 'private' }],
    ['type=cache,target=/c,from=other,source=s', { from: other, source: '/s', id: '/c' }],
    ['type=secret,id=k', { kind: 'secret', id: 'k', target: '/run/secrets/k', env: null, required: false }],
    ['type=secret,id=a/k', { id: 'a/k', target: '/run/secrets/k', mode: 0o400, uid: 0, gid: 0 }],
    ['type=secret,target=/x/k,required', { id: 'k', target: '/x/k', required: true }],
    ['type=secret,source=k,mode=0444,uid=1,gid=2', { id: 'k', mode: 0o444, uid: 1, gid: 2 }],
    ['type=secret,id=k,env=KEY', { target: null, env: 'KEY' }],
    ['type=secret,id=k,env=KEY,target=rel', { target: '/w/rel', env: 'KEY' }],
    ['type=ssh', { kind: 'ssh', id: 'default', target: '/run/buildkit/ssh_agent.0', mode: 0o600, uid: 0, gid: 0 }],
    ['type=ssh,id=k,target=s,required=true,mode=0666,uid=1,gid=2', { id: 'k', target: '/w/s', required: true }],
  ])('%s', async ([flag, expected]) => {
    expect(await mountOf(flag)).toMatchObject(expected)
  })

  test('sockets are numbered, and children come after their parents', async () => {
    const { mounts } = await lastRun(
      'FROM base\nRUN --mount=type=ssh,id=a --mount=type=tmpfs,target=/a/b/c/d/e --mount=type=ssh,id=b --mount=type=tmpfs,target=/a true\n',
    )
    expect(mounts.map(({ target }) => target)).toEqual([
      '/a',
      '/run/buildkit/ssh_agent.0',
      '/run/buildkit/ssh_agent.1',
      '/a/b/c/d/e',
    ])
  })

  test('a namespace separates caches', async () => {
    const buildArgs = { BUILDKIT_CACHE_MOUNT_NS: 'mine' }
    expect(await mountOf('type=cache,target=/c', buildArgs)).toMatchObject({ id: '/c', namespace: 'mine' })
    expect(await mountOf('type=cache,target=/c')).not.toHaveProperty('namespace')
  })

  test('the owner of a cache with files of its own is that of the files', async () => {
    expect(await mountOf('type=cache,target=/c,from=other,source=/s,mode=0700')).not.toHaveProperty('isOwned')
  })
})

test.for<[string, string]>([
  ['type=volume,target=/t', 'unsupported mount type "volume"'],
  ['type=bnd,target=/t', 'unsupported mount type "bnd" (did you mean bind?)'],
  ['target=/t,x=1', "unexpected key 'x' in 'x=1'"],
  ['taget=/t', "unexpected key 'taget' in 'taget=/t' (did you mean target?)"],
  ['x,target=/t', "invalid field 'x' must be a key=value pair"],
  ['target', "invalid field 'target' must be a key=value pair"],
  ['size=1m,type=tmpfs,target=/t', "unexpected key 'size' for mount type 'bind'"],
  ['required,type=secret,id=k', "unexpected key 'required' for mount type 'bind'"],
  ['type=cache,target=/t,size=1m', "unexpected key 'size' for mount type 'cache'"],
  ['type=tmpfs,target=/t,required=true', "unexpected key 'required' for mount type 'tmpfs'"],
  ['target=/t,mode=0700', 'mode not allowed for "bind" type mounts'],
  ['type=tmpfs,target=/t,uid=1', 'uid not allowed for "tmpfs" type mounts'],
  ['target=/t,gid=1', 'gid not allowed for "bind" type mounts'],
  ['target=/t,sharing=locked', 'invalid cache sharing set for bind mount'],
  ['type=cache,target=/t,sharing=lock', 'unsupported sharing value "lock"'],
  ['type=cache,target=/t,sharing=share', 'unsupported sharing value "share" (did you mean shared?)'],
  ['type=cache,target=/t,mode=9', 'invalid value 9 for mode'],
  ['type=cache,target=/t,uid=-1', 'invalid value -1 for uid'],
  ['type=cache,target=/t,gid=x', 'invalid value x for gid'],
  ['type=cache,target=/t,ro=maybe', 'invalid value for readonly: maybe'],
  ['type=tmpfs,target=/t,size=big', 'invalid value for size: big'],
  ['target=/', 'invalid mount target "/"'],
  ['target=..', 'invalid mount target "/"'],
  ['type=secret', 'one of source, target required'],
  ['type=secret,id=a,source=b', "both source and id can't be set"],
  ['type=secret,id=a,from=other', 'secret mount should not have a from'],
  ['type=secret,id=a,sharing=locked', 'secret mount should not define sharing'],
  ['type=ssh,source=a', 'ssh does not support source'],
  ['from=$V,target=/t', "'from' doesn't support variable expansion, define alias stage instead"],
])('%s: %s', async ([flag, message]) => {
  const failure = await mountOf(flag).catch((error) => error)
  expect(failure).toBeInstanceOf(SourceError)
  expect(failure).toMatchObject({ kind: 'dockerfile-invalid', line: 6 })
  expect(failure.message).toContain(message)
})
