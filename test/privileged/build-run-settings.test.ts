import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type BuildRequest, DEFAULT_RUN_SETTINGS, type Entitlement } from '#buildkit-lite'
import { SourceError } from '#domain/errors'
import { type BuildBench, openBuildBench } from './build-bench.ts'

let bench: BuildBench

beforeAll(async () => {
  bench = await openBuildBench('settings')
})
afterAll(() => bench[Symbol.asyncDispose]())

const allowing = (...entitlements: Entitlement[]) => ({ run: { ...DEFAULT_RUN_SETTINGS, entitlements } })

/** Where drivers describe their devices; the directory is taken away again where it was not there. */
function describeDevice(name: string, description: object): Disposable {
  const made = mkdirSync('/run/cdi', { recursive: true })
  const path = `/run/cdi/${name}`
  writeFileSync(path, JSON.stringify(description))
  return { [Symbol.dispose]: () => rmSync(made ?? path, { recursive: true }) }
}

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
    ['a device', 'RUN --device=acme.com/gpu=0 true', {}, 'device acme.com/gpu=0 is not allowed'],
  ])('%s is refused before any step runs', async ([, run, change, message]) => {
    const failure = await bench.buildFiles({ Dockerfile: `FROM busybox\nWORKDIR /w\n${run}\n` }, change).catch((e) => e)
    expect(failure).toBeInstanceOf(SourceError)
    expect(failure).toMatchObject({ kind: 'dockerfile-invalid', file: 'Dockerfile', line: 3 })
    expect(failure.message).toContain(message)
  })

  test('a device of the host, granted, is there with what its driver says of it', async () => {
    const name = `slip-test-${process.pid}`
    using _description = describeDevice(`${name}.json`, {
      kind: `${name}.test/dev`,
      devices: [
        {
          name: 'zero',
          containerEdits: { env: ['FOUND=1'], deviceNodes: [{ path: '/dev/slip', hostPath: '/dev/zero' }] },
        },
      ],
    })
    const run = (device: string) =>
      `FROM busybox\nRUN --device=${device} ls /dev/slip && head -c 2 /dev/slip | wc -c && env | grep FOUND\n`
    const { output } = await bench.buildFiles({ Dockerfile: run(`${name}.test/dev=zero`) }, allowing('device'))
    expect(output).toBe('/dev/slip\n2\nFOUND=1\n')
    const absent = { Dockerfile: run(`${name}.test/dev=one,required`) }
    await expect(bench.buildFiles(absent, allowing('device'))).rejects.toThrow('dev=one was not found')
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
RUN --security=insecure grep -E 'Cap(Eff|Bnd)|Seccomp:|NoNewPrivs' /proc/self/status; ls /dev/loop-control /dev/kmsg 2>&1; \\
  grep -E ' /sys (sysfs|ro)' /proc/mounts; echo 1 > /proc/sys/vm/drop_caches && echo may; mknod /tmp/n b 7 0 && echo made
`
    const { output } = await bench.buildFiles({ Dockerfile: dockerfile }, allowing('security.insecure'))
    const own = /^CapPrm:\s*(\w+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
    expect(output).toContain(`CapEff:\t${own}\nCapBnd:\t${own}\n`)
    expect(output).toMatch(/Seccomp:\t0/)
    expect(output).toContain('may\nmade\n')
    for (const device of ['kmsg', 'loop-control'].filter((name) => existsSync(`/dev/${name}`)))
      expect(output).toMatch(new RegExp(`^/dev/${device}$`, 'm'))
  })
})

test('a step without a flag has the default network of its build', async () => {
  const dockerfile = 'FROM busybox\nRUN --network=default ls /sys/class/net\n'
  expect((await bench.buildFiles({ Dockerfile: dockerfile })).output).toBe('lo\n')
})

const withSettings = (settings: Partial<BuildRequest['run']>) => ({ run: { ...DEFAULT_RUN_SETTINGS, ...settings } })
const withResources = (resources: Partial<BuildRequest['run']['resources']>) =>
  withSettings({ resources: { ...DEFAULT_RUN_SETTINGS.resources, ...resources } })

/** One RUN's output. */
async function outputOf(script: string, change: Partial<BuildRequest> = {}): Promise<string> {
  return (await bench.buildFiles({ Dockerfile: `FROM busybox\nRUN ${script}\n` }, change)).output
}

describe('settings of every RUN', () => {
  test('/dev/shm', async () => {
    const script = 'grep " /dev/shm " /proc/mounts'
    expect(await outputOf(script)).toContain('size=65536k')
    expect(await outputOf(script, withSettings({ shmSizeBytes: 128 << 20 }))).toContain('size=131072k')
  })

  test('limits of resources by name', async () => {
    const ulimits = [
      { name: 'nofile', soft: 1062, hard: 1062 },
      { name: 'core', soft: -1, hard: -1 },
    ]
    const script = 'ulimit -n; grep core /proc/self/limits'
    expect(await outputOf(script, withSettings({ ulimits }))).toMatch(/^1062\nMax core file size +unlimited +unlimited/)
    const unknown = withSettings({ ulimits: [{ name: 'nofiles', soft: 1, hard: 1 }] })
    await expect(outputOf(script, unknown)).rejects.toThrow('invalid ulimit type: nofiles')
  })

  test('bounds of the control group', async () => {
    const at = '/sys/fs/cgroup'
    const [v1, v2] = [
      `${at}/memory/memory.limit_in_bytes ${at}/memory/memory.memsw.limit_in_bytes ${at}/cpu/cpu.shares ${at}/cpu/cpu.cfs_period_us ${at}/cpu/cpu.cfs_quota_us ${at}/cpuset/cpuset.cpus`,
      `${at}/memory.max ${at}/memory.swap.max ${at}/cpu.weight ${at}/cpu.max ${at}/cpuset.cpus`,
    ]
    const script = `if [ -e ${at}/memory ]; then cat ${v1}; else cat ${v2}; fi`
    const bounds = withResources({
      memoryBytes: 100 << 20,
      memorySwapBytes: 200 << 20,
      cpuShares: 512,
      cpuPeriodUs: 50_000,
      cpuQuotaUs: 25_000,
      cpusetCpus: '0',
      cpusetMems: '0',
    })
    expect(['104857600\n209715200\n512\n50000\n25000\n0\n', '104857600\n104857600\n20\n25000 50000\n0\n']).toContain(
      await outputOf(script, bounds),
    )
  })

  test.for<[string, Partial<BuildRequest['run']['resources']>]>([
    ['a processor that is not there', { cpusetCpus: '4000' }],
    ['a quota below what the kernel knows', { cpuPeriodUs: 1 }],
    ['too little memory to start in', { memoryBytes: 256 << 10 }],
  ])('%s is a mistake of who asked', async ([, resources]) => {
    await expect(outputOf('true', withResources(resources))).rejects.toMatchObject({ kind: 'step-failed', line: 2 })
  })

  test('a host name that is too long is a mistake of who asked', async () => {
    const buildArgs = { BUILDKIT_SANDBOX_HOSTNAME: 'x'.repeat(65) }
    await expect(outputOf('true', { buildArgs })).rejects.toMatchObject({ kind: 'step-failed', line: 2 })
  })

  test('memory bounds are no part of the key, sizes are', async () => {
    const files = { Dockerfile: 'FROM busybox\nRUN echo keyed\n' }
    const ran = async (change: Partial<BuildRequest>) => (await bench.buildFiles(files, change)).ran.length
    expect(await ran({})).toBe(1)
    expect(await ran(withResources({ memoryBytes: 99 << 20, cpuShares: 2 }))).toBe(0)
    expect(await ran(withSettings({ shmSizeBytes: 1 << 20 }))).toBe(1)
    expect(await ran(withSettings({ ulimits: [{ name: 'nofile', soft: 99, hard: 999 }] }))).toBe(1)
    expect(await ran({ extraHosts: [{ name: 'db', address: '10.0.0.1' }] })).toBe(1)
    expect(await ran({ extraHosts: [{ name: 'db', address: '10.0.0.2' }] })).toBe(0)
    expect(await ran({ buildArgs: { BUILDKIT_SANDBOX_HOSTNAME: 'other' } })).toBe(1)
    expect(await ran({ network: 'default' })).toBe(1)
    expect(await ran({ buildArgs: { HTTP_PROXY: 'http://p' } })).toBe(0)
  })

  test('names', async () => {
    const script = 'hostname; cat /etc/hosts'
    const own = await outputOf(script)
    expect(own).toMatch(/^buildkitsandbox\n127.0.0.1\tlocalhost buildkitsandbox\n/)
    const more = await outputOf(script, {
      buildArgs: { BUILDKIT_SANDBOX_HOSTNAME: 'box' },
      extraHosts: [
        { name: 'db', address: '10.0.0.1' },
        { name: 'db6', address: 'fd00::1' },
      ],
    })
    expect(more).toMatch(/^box\n127.0.0.1\tlocalhost box\n[^]*\n10.0.0.1\tdb\nfd00::1\tdb6\n$/)
  })
})

describe('the surroundings of a program', () => {
  test('devices, umask, input, capabilities', async () => {
    expect((await outputOf('ls /dev')).trim().split('\n')).toEqual(
      ['fd', 'full', 'mqueue', 'null', 'ptmx', 'pts', 'random', 'shm'].concat([
        'stderr',
        'stdin',
        'stdout',
        'tty',
        'urandom',
        'zero',
      ]),
    )
    expect(await outputOf('umask; cat; echo end; grep -E "CapBnd|NoNewPrivs" /proc/self/status')).toBe(
      '0022\nend\nCapBnd:\t00000000a80425fb\nNoNewPrivs:\t0\n',
    )
  })

  test('its environment is what was planned, and no more', async () => {
    expect(await outputOf('env | sort')).toBe(
      'BASE=1\nHOME=/root\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nPWD=/\nSHLVL=1\n',
    )
  })

  test('shell and exec form, an empty one, and another shell', async () => {
    const { output } = await bench.buildFiles({
      Dockerfile: `FROM busybox
RUN
RUN ["echo", "$HOME", "two  words"]
SHELL ["/bin/sh", "-xc"]
RUN true $HOME
ENV PATH=/own
COPY --chmod=755 tool /own/tool
RUN ["tool"]
`,
      tool: '#!/bin/echo found\n',
    })
    expect(output).toBe('$HOME two  words\n+ true /root\nfound /own/tool\n')
  })

  test('the same program in shell and in exec form is one step', async () => {
    const ran = async (run: string) => (await bench.buildFiles({ Dockerfile: `FROM busybox\nRUN ${run}\n` })).ran.length
    expect([await ran('echo same'), await ran('["/bin/sh", "-c", "echo same"]')]).toEqual([1, 0])
  })

  test('a working directory is made where it is missing, of root', async () => {
    const dockerfile = "FROM busybox\nWORKDIR /a/b\nRUN cd / && rm -r /a\nUSER app\nRUN pwd; stat -c '%a %u' /a /a/b\n"
    expect((await bench.buildFiles({ Dockerfile: dockerfile })).output).toBe('/a/b\n755 0\n755 0\n')
  })

  test.for<[string, string]>([
    ['1001', 'uid=1001(app) gid=1002 groups=7(extra),1002\n/home/app\n'],
    ['app', 'uid=1001(app) gid=1002 groups=7(extra),1002\n/home/app\n'],
    ['4242', 'uid=4242 gid=0(root) groups=0(root)\n/\n'],
    ['app:7', 'uid=1001(app) gid=7(extra) groups=7(extra)\n/home/app\n'],
    ['app:extra', 'uid=1001(app) gid=7(extra) groups=7(extra)\n/home/app\n'],
    [':7', 'uid=0(root) gid=7(extra) groups=7(extra)\n/root\n'],
  ])('USER %s', async ([user, expected]) => {
    const group = 'RUN echo "root:x:0:" > /etc/group; echo "extra:x:7:app" >> /etc/group'
    const { output } = await bench.buildFiles({
      Dockerfile: `FROM busybox\n${group}\nUSER ${user}\nRUN id; echo $HOME\n`,
    })
    expect(output).toBe(expected)
  })

  test('what it leaves in the background dies with it', async () => {
    const { output } = await bench.buildFiles({
      Dockerfile: 'FROM busybox\nRUN setsid sh -c "sleep 1000" & echo left\nRUN echo next\n',
    })
    expect(output).toBe('left\nnext\n')
  })
})

describe('a program that does not end well', () => {
  test.for<[string, string, { message: string; exitCode: number | null; kind?: string }]>([
    [
      'a code',
      'RUN echo no; exit 7',
      { message: 'process "/bin/sh -c echo no; exit 7" did not complete successfully: exit code: 7', exitCode: 7 },
    ],
    ['a signal', "RUN sh -c 'kill -SEGV $$'; exit $?", { message: 'exit code: 139 (SIGSEGV)', exitCode: 139 }],
    [
      'too much memory',
      'RUN head -c 600m /dev/zero | tail -n 1 > /dev/null',
      { message: ': it reached the memory limit of 256 MiB', exitCode: 137, kind: 'out-of-memory' },
    ],
    [
      'a missing program',
      'RUN ["foo"]',
      {
        message:
          'process "foo" did not complete successfully: exit code: 127: exec: "foo": executable file not found in $PATH',
        exitCode: 127,
      },
    ],
    [
      'a missing shell',
      'SHELL ["/bin/bash", "-c"]\nRUN true',
      {
        message: 'exit code: 127: exec: "/bin/bash": no such file or directory. The image has no /bin/bash',
        exitCode: 127,
      },
    ],
    ['a directory', 'RUN ["/etc"]', { message: 'exit code: 126: exec: "/etc": ', exitCode: 126 }],
    [
      'a file that is no program',
      'RUN ["/program"]',
      { message: 'the program is no executable of this machine', exitCode: 1 },
    ],
    [
      'an unknown user',
      'USER ghost\nRUN id',
      {
        message:
          'process "/bin/sh -c id" did not complete successfully: unable to find user ghost: no matching entries in passwd file',
        exitCode: null,
      },
    ],
    [
      'an unknown group',
      'USER root:ghosts\nRUN id',
      { message: 'unable to find group ghosts: no matching entries in group file', exitCode: null },
    ],
  ])('%s', async ([, run, expected]) => {
    const dockerfile = `FROM busybox\nCOPY --chmod=755 program /\n${run}\n`
    const failure = await bench.buildFiles({ Dockerfile: dockerfile, program: '\x7fELF no\n' }).catch((e) => e)
    expect(failure).toMatchObject({ kind: expected.kind ?? 'step-failed', line: 2 + run.split('\n').length })
    expect(failure.message).toContain(expected.message)
    expect(failure.cause).toMatchObject({ exitCode: expected.exitCode })
  })

  test('its last lines are kept with the error', async () => {
    const run = 'i=0; while [ $i -lt 50 ]; do i=$((i+1)); echo line $i; done; exit 1'
    const failure = await bench.buildFiles({ Dockerfile: `FROM busybox\nRUN ${run}\n` }).catch((e) => e)
    expect(failure.cause.tail).toEqual(Array.from({ length: 20 }, (_, index) => `line ${31 + index}`))
  })
})
