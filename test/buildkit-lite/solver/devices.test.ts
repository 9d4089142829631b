import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { RunOperation } from '../../../buildkit-lite/plan/plan.ts'
import { findDevices, type StepDevices } from '../../../buildkit-lite/solver/devices.ts'

const GPU = `cdiVersion: 0.6.0
kind: acme.com/gpu
containerEdits:
  env: [DRIVER=1]
devices:
  - name: 0
    containerEdits:
      env: [GPU=0]
      deviceNodes: [{ path: /dev/gpu0, hostPath: /dev/null, permissions: rw }]
      mounts: [{ hostPath: /etc, containerPath: /usr/lib/acme, options: [ro, bind] }]
      additionalGids: [44]
  - name: one
    containerEdits: { env: [GPU=1] }
`
const HOOKED = '{"kind": "acme.com/hooked", "devices": [{"name": "x", "containerEdits": {"hooks": [{}]}}]}'
const LATER = '{"kind": "acme.com/gpu", "devices": [{"name": "one", "containerEdits": {"env": ["GPU=later"]}}]}'

async function find(name: string, required = true): Promise<StepDevices> {
  await using first = await mkdtempDisposable(join(tmpdir(), 'slip-cdi-'))
  await using second = await mkdtempDisposable(join(tmpdir(), 'slip-cdi-'))
  await writeFile(join(first.path, 'gpu.yaml'), GPU)
  await writeFile(join(first.path, 'hooked.json'), HOOKED)
  await writeFile(join(first.path, 'README'), 'no description')
  await writeFile(join(second.path, 'later.json'), LATER)
  const run = { devices: [{ name, required }] } as unknown as RunOperation
  return await findDevices(run, [first.path, second.path, '/no/such/directory'])
}

test('what a driver says of a device is what the step gets', async () => {
  expect(await find('acme.com/gpu=0')).toEqual({
    env: ['DRIVER=1', 'GPU=0'],
    devices: [{ source: '/dev/null', target: '/dev/gpu0', permissions: 'rw' }],
    mounts: [
      { mount: { kind: 'bind', source: '/etc', target: '/usr/lib/acme', readonly: true }, pointKind: 'directory' },
    ],
    gids: [44],
  })
})

test.for([
  ['acme.com/gpu=one', ['GPU=later']],
  ['acme.com/gpu=*', ['GPU=later']],
  ['acme.com/gpu', ['GPU=later']],
  ['acme.com/gpu=0', ['DRIVER=1', 'GPU=0']],
] as const)('%s has %o', async ([name, env]) => {
  expect((await find(name)).env).toEqual(env)
})

test.for([
  ['acme.com/gpu=2', /^device acme.com\/gpu=2 was not found: no file in .* describes it$/],
  ['acme.com/none', /^device acme.com\/none was not found/],
  ['acme.com/hooked=x', /^device acme.com\/hooked=x needs hooks, which are not supported here$/],
] as const)('%s fails the step', async ([name, message]) => {
  await expect(find(name)).rejects.toMatchObject({ kind: 'step-failed', message: expect.stringMatching(message) })
})

test('one that need not be there is left out', async () => {
  expect(await find('acme.com/none', false)).toEqual({ env: [], devices: [], mounts: [], gids: [] })
})

test('a description that cannot be read is named', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'slip-cdi-'))
  await writeFile(join(dir.path, 'bad.json'), '{"kind": 1}')
  const run = { devices: [{ name: 'x', required: true }] } as unknown as RunOperation
  await expect(findDevices(run, [dir.path])).rejects.toThrow(/bad.json describes no devices/)
})
