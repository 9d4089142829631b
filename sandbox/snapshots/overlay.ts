import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SlipwayError } from '#domain/errors'
import { bytePath, type Sys, SysError } from '#host/sys'
import type { Layout } from './layout.ts'

/** Distributions differ in their defaults; layers have to come out the same everywhere. */
const OPTIONS = ['index=off', 'metacopy=off', 'redirect_dir=off']
/** No syncing of the upper directory: it is thrown away after a crash anyway (Linux 5.10). */
const VOLATILE = 'volatile'
/** OVL_MAX_STACK of the kernel. */
const MAX_LAYERS = 500

export interface WritableTree {
  target: string
  upperDir: string
  workDir: string
  /** At least one. */
  lowerDirs: readonly string[]
}

/** Mounts the layers read-write, where the kernel can without syncing them. */
export function mountWritable(sys: Sys, tree: WritableTree): void {
  requireMountable(tree.lowerDirs)
  const overlay = {
    target: bytePath(tree.target),
    lowerDirs: tree.lowerDirs.map(bytePath),
    upper: { upperDir: bytePath(tree.upperDir), workDir: bytePath(tree.workDir) },
  }
  try {
    sys.mountOverlay({ ...overlay, options: [...OPTIONS, VOLATILE] })
  } catch (error) {
    if (!(error instanceof SysError) || error.code !== 'EINVAL') throw error
    sys.mountOverlay({ ...overlay, options: OPTIONS })
  }
}

/** Mounts the layers read-only, of which there are at least two. */
export function mountReadonly(sys: Sys, target: string, lowerDirs: readonly string[]): void {
  requireMountable(lowerDirs)
  sys.mountOverlay({
    target: bytePath(target),
    lowerDirs: lowerDirs.map(bytePath),
    upper: null,
    options: OPTIONS,
  })
}

function requireMountable(lowerDirs: readonly string[]): void {
  if (lowerDirs.length <= MAX_LAYERS) return
  const problem = `This image has ${lowerDirs.length} layers here, the kernel stacks at most ${MAX_LAYERS}`
  throw new SlipwayError('unsupported', `${problem}: join steps, or start from an image with fewer`)
}

/** Unmounts, lazily where something still looks at the tree: nothing may be written there any more. */
export function unmountTree(sys: Sys, target: string): void {
  try {
    sys.unmount(bytePath(target), { detach: false })
  } catch (error) {
    if (!(error instanceof SysError) || error.code !== 'EBUSY') throw error
    sys.unmount(bytePath(target), { detach: true })
  }
}

/** The root of the merged tree is the upper directory's: it starts as its parent's. */
export function copyRootAttributes(sys: Sys, from: string, to: string): void {
  const { uid, gid, atimeNs, mtimeNs, mode } = lstatSync(from, { bigint: true })
  mkdirSync(to)
  chownSync(to, Number(uid), Number(gid))
  chmodSync(to, Number(mode) & 0o7777)
  sys.lutimes(bytePath(to), { atimeNs, mtimeNs })
}

/** The constant layers. They never change, so that whoever comes first may make them. */
export function makeConstantLayers(layout: Layout): void {
  for (const dir of [layout.stub, ...layout.empty]) mkdirSync(dir, { recursive: true, mode: 0o755 })
  for (const name of ['proc', 'dev', 'sys', 'etc']) mkdirSync(join(layout.stub, name), { recursive: true, mode: 0o755 })
  for (const name of ['resolv.conf', 'hosts']) {
    const path = join(layout.stub, 'etc', name)
    if (!existsSync(path)) writeFileSync(path, '')
  }
}
