import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checkPlatforms } from '../../../buildkit-lite/solver/check-platforms.ts'
import { type Emulators, readEmulators } from '../../../buildkit-lite/solver/emulators.ts'
import { amd64, arm64, imageOf, plan, resolverOf } from '../plan/plan-text.ts'

const none: Emulators = { ready: new Set(), unfixed: new Set() }
const text = 'FROM --platform=arm64 arm AS tools\nRUN make\nFROM base\nRUN x\nCOPY --from=tools / /'

async function check(dockerfile: string, emulators = none, wanted = amd64): Promise<void> {
  const arm = imageOf({}, { architecture: 'arm64', variant: 'v8' })
  const ia32 = imageOf({}, { architecture: '386' })
  const resolver = resolverOf({ base: imageOf(), arm, ia32 })
  const planned = await plan(dockerfile, { resolver, platform: wanted })
  const source = { name: 'Dockerfile', text: dockerfile }
  checkPlatforms(planned, { wanted, source }, { platform: amd64, emulators })
}

test('a program for another machine is refused where it stands, with what to do', async () => {
  await expect(check(text)).rejects.toMatchObject({
    kind: 'dockerfile-invalid',
    line: 2,
    message:
      '"RUN make" of stage tools is for linux/arm64, but this machine runs linux/amd64 and no emulator for arm64 is ' +
      'registered in /proc/sys/fs/binfmt_misc. Register one (packages qemu-user-static and binfmt-support), build on a ' +
      'machine of that platform, or let the stage run on this one with FROM --platform=$BUILDPLATFORM',
  })
  await expect(check(text, { ...none, unfixed: new Set(['arm64']) })).rejects.toThrow('registered without the flag F')
  await expect(check('FROM scratch\nCOPY x /\nRUN y', none, arm64)).rejects.toMatchObject({ line: 3 })
})

test.for<[string, Emulators]>([
  ['FROM --platform=arm64 arm AS tools\nCOPY a /\nWORKDIR /w\nFROM base\nCOPY --from=tools / /\nRUN x', none],
  [text, { ...none, ready: new Set(['arm64']) }],
  ['FROM --platform=386 ia32\nRUN x', none],
  // An image that says it is for this machine is, whatever was asked for.
  ['FROM --platform=arm64 base\nRUN x', none],
])('%j is fine', async ([dockerfile, emulators]) => {
  await expect(check(dockerfile, emulators)).resolves.toBeUndefined()
})

test('emulators are those that are switched on, by the programs they run', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'slip-binfmt-'))
  const aarch64 = '7f454c460201010000000000000000000200b7'
  const entry = (state: string, flags: string, magic: string) =>
    `${state}\ninterpreter /usr/bin/qemu\nflags: ${flags}\noffset 0\nmagic ${magic}\nmask ff\n`
  await writeFile(join(dir.path, 'register'), '')
  await writeFile(join(dir.path, 'status'), 'enabled\n')
  await writeFile(join(dir.path, 'anything'), entry('enabled', 'POCF', `${aarch64}00`))
  await writeFile(join(dir.path, 'qemu-s390x'), entry('enabled', 'POC', '7f454c4602020100000000000000000000020016'))
  await writeFile(join(dir.path, 'qemu-arm'), entry('disabled', 'F', '7f454c4601010100000000000000000002002800'))
  await writeFile(join(dir.path, 'python'), 'enabled\ninterpreter /x\nflags: F\noffset 0\nmagic 420d0d0a\n')
  expect(await readEmulators(dir.path)).toEqual({ ready: new Set(['arm64']), unfixed: new Set(['s390x']) })
  expect(await readEmulators(join(dir.path, 'none'))).toEqual(none)
})
