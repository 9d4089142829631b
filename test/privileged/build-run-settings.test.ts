import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DEFAULT_RUN_SETTINGS, type Entitlement } from '#buildkit-lite'
import { SourceError } from '#domain/errors'
import { type BuildBench, openBuildBench } from './build-bench.ts'

let bench: BuildBench

beforeAll(async () => {
  bench = await openBuildBench('settings')
})
afterAll(() => bench[Symbol.asyncDispose]())

const allowing = (...entitlements: Entitlement[]) => ({ run: { ...DEFAULT_RUN_SETTINGS, entitlements } })

describe('what needs an entitlement', () => {
  test.for<[string, string, object, string]>([
    ['the host’s network', 'RUN --network=host ip addr', {}, 'network.host is not allowed'],
    ['the host’s network as a default', 'RUN ip addr', { network: 'host' }, 'network.host is not allowed'],
    ['every privilege', 'RUN --security=insecure true', {}, 'security.insecure is not allowed'],
    [
      'every privilege, with another entitlement',
      'RUN --security=insecure true',
      allowing('network.host'),
      'security.insecure is not allowed',
    ],
  ])('%s is refused before any step runs', async ([, run, change, message]) => {
    const failure = await bench.buildFiles({ Dockerfile: `FROM busybox\nWORKDIR /w\n${run}\n` }, change).catch((e) => e)
    expect(failure).toBeInstanceOf(SourceError)
    expect(failure).toMatchObject({ kind: 'dockerfile-invalid', file: 'Dockerfile', line: 3 })
    expect(failure.message).toContain(message)
  })

  test('what is cached is refused all the same', async () => {
    const files = { Dockerfile: 'FROM busybox\nRUN --network=host echo cached\n' }
    expect((await bench.buildFiles(files, allowing('network.host'))).ran).toHaveLength(1)
    expect((await bench.buildFiles(files, allowing('network.host'))).ran).toHaveLength(0)
    await expect(bench.buildFiles(files)).rejects.toThrow('network.host is not allowed')
  })

  test('a stage that nobody builds may ask for anything', async () => {
    const dockerfile = 'FROM busybox AS other\nRUN --security=insecure true\nFROM busybox\nRUN echo fine\n'
    expect((await bench.buildFiles({ Dockerfile: dockerfile })).output).toBe('fine\n')
  })

  test('the host’s network, granted, has the host’s interfaces', async () => {
    const dockerfile = 'FROM busybox\nRUN --network=host ls /sys/class/net\nRUN ls /sys/class/net\n'
    const { output } = await bench.buildFiles({ Dockerfile: dockerfile }, allowing('network.host'))
    const names = output.trim().split('\n')
    expect(names.length).toBeGreaterThan(2)
    // The second step has only the loopback.
    expect(names.at(-1)).toBe('lo')
  })

  test('every privilege, granted: capabilities, no filter, writable /sys, the host’s devices', async () => {
    const dockerfile = `FROM busybox
RUN --security=insecure grep -E 'Cap(Eff|Bnd)|Seccomp:|NoNewPrivs' /proc/self/status; ls /proc/sched_debug /dev/loop-control 2>&1; \\
  grep -E ' /sys (sysfs|ro)' /proc/mounts; echo 1 > /proc/sys/vm/drop_caches && echo may; mknod /tmp/n b 7 0 && echo made
`
    const { output } = await bench.buildFiles({ Dockerfile: dockerfile }, allowing('security.insecure'))
    const own = /^CapPrm:\s*(\w+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
    expect(output).toContain(`CapEff:\t${own}\nCapBnd:\t${own}\n`)
    expect(output).toMatch(/Seccomp:\t0/)
    expect(output).toContain('may\nmade\n')
  })
})

test('a step without a flag has the default network of its build', async () => {
  const dockerfile = 'FROM busybox\nRUN --network=default ls /sys/class/net\n'
  expect((await bench.buildFiles({ Dockerfile: dockerfile })).output).toBe('lo\n')
})
