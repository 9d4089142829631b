import { createInterface } from 'node:readline'
import { exited, spawn } from './exec.ts'

/** What a directory has below it. */
export interface TreeSize {
  entries: number
  /** Lengths of all regular files. */
  fileBytes: number
  /** What they take on the disk; hard links count once. */
  diskBytes: number
}

/** Walks a directory in a process of its own: whoever measures goes on with other things. */
export async function measureTree(directory: string): Promise<TreeSize> {
  const child = spawn('find', [directory, '-mindepth', '1', '-printf', '%y %s %b %n %i\\n'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const ended = exited(child)
  // What vanishes meanwhile makes find fail; what it saw counts.
  ended.catch(() => {})
  const size = { entries: 0, fileBytes: 0, diskBytes: 0 }
  const linked = new Set<string>()
  if (!child.stdout) return size
  for await (const line of createInterface({ input: child.stdout })) {
    const [type, bytes, blocks, links, inode = ''] = line.split(' ')
    size.entries++
    if (type === 'f') size.fileBytes += Number(bytes)
    const isCounted = type === 'f' && Number(links) > 1 && linked.has(inode)
    if (!isCounted) size.diskBytes += Number(blocks) * 512
    if (type === 'f' && Number(links) > 1) linked.add(inode)
  }
  await ended
  return size
}
