import { z } from 'zod'
import { ProjectName } from './ids.ts'
import { findImageMistake } from './pushed-image.ts'

/** The Deployment's container that gets the new image after a push. */
export const DeployTarget = z.object({
  namespace: z.string().min(1).max(63).default('default'),
  deployment: z.string().min(1).max(253),
  container: z.string().min(1).max(63),
})
export type DeployTarget = z.infer<typeof DeployTarget>

/** A path in the repository: relative, and beneath its root. */
const RepositoryPath = z
  .string()
  .max(1024)
  .refine((path) => !path.split('/').includes('..') && !path.includes('\0'), 'a path beneath the repository root')

/** Which pushes build what, as Docker Hub's build rules say it. */
export const BuildRule = z.object({
  /** A pull request is built by the rules for the branch that it wants to go into, and nothing of it is pushed. */
  source: z.enum(['branch', 'tag', 'pull-request']),
  /** An exact name, or `/regex/` that must match the whole name. */
  pattern: z.string().min(1).max(512),
  /** `{sourceref}`, `{\1}`…`{\9}`, `{sha}`, `{branch}`, `{tag}` are filled in. */
  tags: z.array(z.string().min(1).max(256)).max(32).default(['latest']),
  dockerfile: RepositoryPath.default('Dockerfile'),
  /** Blank means the Dockerfile's directory, as on Docker Hub. */
  context: RepositoryPath.default('/'),
  target: z.string().max(128).nullable().default(null),
  buildArgs: z.record(z.string(), z.string()).default({}),
  paths: z.array(z.string().max(512)).max(64).default(['**']),
  autobuild: z.boolean().default(true),
  cache: z.boolean().default(true),
  push: z.boolean().default(true),
  deploy: z.array(DeployTarget).max(16).default([]),
})
export type BuildRule = z.infer<typeof BuildRule>

/** `debian:12`, `ghcr.io/acme/base`: without a tag it stands for all of them. */
const ImageName = z
  .string()
  .max(512)
  .refine((name) => findImageMistake(name) === null, 'the name of an image')

export const Project = z.object({
  name: ProjectName,
  /** Clone URL; null where the project lives in our own git endpoint only. */
  repository: z.string().max(2048).nullable().default(null),
  defaultBranch: z.string().max(255).default('main'),
  visibility: z.enum(['private', 'public']).default('private'),
  rules: z.array(BuildRule).max(64),
  /** Images whose push, told by a registry's webhook, builds what was built last once more. */
  rebuildOn: z.array(ImageName).max(64).default([]),
  createdAtMs: z.number().int(),
})
export type Project = z.infer<typeof Project>

/** What may be sent to change a project; the secrets are write-only. */
export const ProjectChange = z
  .object({
    // Without their defaults: what a change does not name stays as it is.
    repository: Project.shape.repository.removeDefault(),
    defaultBranch: Project.shape.defaultBranch.removeDefault(),
    visibility: Project.shape.visibility.removeDefault(),
    rules: Project.shape.rules,
    rebuildOn: Project.shape.rebuildOn.removeDefault(),
    webhookSecret: z.string().min(8).max(256).nullable(),
    /** GitLab's signing token, `whsec_` and base64 of 32 bytes. */
    webhookSigningToken: z.string().startsWith('whsec_').max(256).nullable(),
  })
  .partial()
export type ProjectChange = z.infer<typeof ProjectChange>

/** The rules of a new project: its default branch is `latest`, a tag `v1.2` is `1.2`. */
export function defaultRules(defaultBranch: string): BuildRule[] {
  return [
    BuildRule.parse({ source: 'branch', pattern: defaultBranch, tags: ['latest', '{sha}'] }),
    BuildRule.parse({ source: 'tag', pattern: '/v?(.+)/', tags: ['{\\1}'] }),
  ]
}
