import { chmod, mkdir, realpath, writeFile } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { SlipwayError } from '#domain/errors'
import type { ContainerMount } from '#sandbox'
import type { Pod } from '../kinds.ts'
import type { ObjectStore } from '../objects.ts'
import type { Container, Volume } from '../pod-kinds.ts'
import { projectVolume, writeProjection } from './projection.ts'

/** A pod's volumes: directories below the pod's own, removed with it. */
export interface PodVolumes {
  /** What a container sees of them. */
  mountsOf(container: Container): Promise<ContainerMount[]>
  /** Writes ConfigMaps and Secrets again where they have changed. */
  refresh(): Promise<void>
}

/** Fails with kind `unsupported` for volumes we do not make, `not-found` where a source is missing. */
export async function prepareVolumes(podDir: string, pod: Pod, objects: Pick<ObjectStore, 'get'>): Promise<PodVolumes> {
  const namespace = pod.metadata.namespace ?? ''
  const written = new Map<string, string>()
  const write = async (volume: Volume) => {
    const dir = join(podDir, 'volumes', volume.name)
    await mkdir(dir, { recursive: true, mode: 0o755 })
    // Everybody in the pod may write, whoever the image's user is.
    if (volume.emptyDir) return chmod(dir, 0o777)
    if (!volume.configMap && !volume.secret) throw unsupported(volume)
    const projection = projectVolume(volume, namespace, objects)
    const text = JSON.stringify(
      [...projection].map(([path, { bytes, mode }]) => [path, bytes.toString('base64'), mode]),
    )
    if (written.get(volume.name) === text) return
    await writeProjection(dir, projection)
    written.set(volume.name, text)
  }
  const volumes = pod.spec.volumes ?? []
  for (const volume of volumes) await write(volume)
  return {
    mountsOf: async (container) => {
      const mounts: ContainerMount[] = []
      for (const { name, mountPath, subPath, readOnly } of container.volumeMounts ?? []) {
        const volume = volumes.find((candidate) => candidate.name === name)
        if (!volume) throw new SlipwayError('invalid', `container ${container.name} mounts unknown volume "${name}"`)
        const source = await sourceOf(join(podDir, 'volumes', name), volume, subPath)
        mounts.push({ kind: 'bind', source, target: mountPath, readonly: readOnly ?? !volume.emptyDir })
      }
      return mounts
    },
    refresh: async () => {
      for (const volume of volumes) if (!volume.emptyDir) await write(volume)
    },
  }
}

function unsupported(volume: Volume): SlipwayError {
  const kind = Object.keys(volume).find((key) => key !== 'name') ?? 'no kind'
  return new SlipwayError(
    'unsupported',
    `volume "${volume.name}" is of kind ${kind}, expected one of emptyDir, configMap, secret`,
  )
}

/** A container may have put a link into its volume: what is mounted lies inside, whatever the links say. */
async function sourceOf(dir: string, volume: Volume, subPath: string | undefined): Promise<string> {
  if (!subPath) return dir
  const path = join(dir, subPath)
  if (path !== dir && !path.startsWith(dir + sep))
    throw new SlipwayError('invalid', `subPath ${subPath} leaves its volume`)
  if (volume.emptyDir) await mkdir(path, { recursive: true, mode: 0o777 })
  const real = await realpath(path)
  if (!real.startsWith((await realpath(dir)) + sep))
    throw new SlipwayError('invalid', `subPath ${subPath} leaves its volume`)
  return real
}

/** The pod's own /etc/hosts, shared by its containers. */
export async function writeHostsFile(podDir: string, pod: Pod, address: string): Promise<ContainerMount> {
  const path = join(podDir, 'hosts')
  const lines = [
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    `${address}\t${pod.spec.hostname || pod.metadata.name}`,
    ...(pod.spec.hostAliases ?? []).map(({ ip, hostnames = [] }) => `${ip}\t${hostnames.join('\t')}`),
  ]
  await writeFile(path, `${lines.join('\n')}\n`)
  return { kind: 'bind', source: path, target: '/etc/hosts', readonly: false }
}
