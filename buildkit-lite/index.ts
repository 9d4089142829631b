export { build, buildAll } from './build.ts'
export type * from './built-result.ts'
export type { BuildContext } from './context/contract.ts'
export { openDirectoryContext } from './context/directory-context.ts'
export { createGitShared, openGitContext } from './context/git-context.ts'
export { lockGitMirror } from './context/git-lock.ts'
export { type GitSource, parseGitUrl } from './context/git-url.ts'
export { openTarContext } from './context/tar-context.ts'
export type * from './contract.ts'
export { DEFAULT_IMAGE_SETTINGS, DEFAULT_RUN_SETTINGS } from './contract.ts'
export { collectGarbage, type DiskReport, tryCollectGarbage, type Verification, verifyDisk } from './disk/collect.ts'
export { openBuildStores, STATE_DIRS } from './disk/open-build-stores.ts'
export type { DiskLimits } from './disk/policy.ts'
export { parseDockerfile } from './dockerfile/parse.ts'
export { exportDirectory, fetchLayers } from './export-image.ts'
export { exportResult, exportResultTar } from './export-result.ts'
export { hostPlatform } from './host-platform.ts'
export type { ImageConfig } from './image/config.ts'
export { onlyImage, writeDockerArchive, writeOciArchive } from './image-archive.ts'
export { writeOciLayout } from './image-layout.ts'
export { importRootfs, type RootfsSource } from './import-rootfs.ts'
export type { BlobStore } from './layers/blob-store.ts'
export { openBlobStore } from './layers/open-blob-store.ts'
export { type CheckResult, checkDockerfile } from './lint/check-dockerfile.ts'
export { listTargets, type Target, type TargetList } from './outline/list-targets.ts'
export { type Outline, outlineDockerfile } from './outline/outline-dockerfile.ts'
export type { Plan, PlanStep, PlanWarning, Platform } from './plan/plan.ts'
export { planDockerfile } from './plan/plan-dockerfile.ts'
export { formatPlatform, parsePlatform } from './plan/platform.ts'
export { type PulledImage, type PullTools, pullImage, unpackImage } from './pull-image.ts'
export { pushByDigest, pushImage, pushResult, pushTag } from './push-image.ts'
export { dockerfileNames, MAX_DOCKERFILE_BYTES, missingDockerfile } from './read-dockerfile.ts'
export type { Credentials, Registry, RegistryOptions } from './registry/contract.ts'
export { createRegistry } from './registry/create-registry.ts'
export { dockerCredentials } from './registry/docker-credentials.ts'
export {
  type FetchOptions,
  fetchGitContext,
  fetchUrlContext,
  openCheckedOutContext,
  openPushedContext,
} from './remote/fetch-context.ts'
export {
  type CachePlace,
  type CacheSource,
  type CacheTarget,
  readCacheSource,
  readCacheTarget,
} from './remote-cache/contract.ts'
export { exportCaches } from './remote-cache/export-cache.ts'
export { importCaches } from './remote-cache/import-cache.ts'
export { withoutLostLayers } from './remote-cache/lost-layer.ts'
export { openSharedLayers, type SharedLayers } from './remote-cache/shared-layers.ts'
export { readAccounts, resolveRunUser } from './solver/accounts.ts'
export { openFileStepCache } from './solver/file-step-cache.ts'
export { ProcessError } from './solver/process-error.ts'
export { openScratch, openSecretScratch, reapScratch } from './solver/scratch.ts'
export { createSharedWork, type SharedWork } from './solver/shared-work.ts'
export { writeResult } from './write-result.ts'
