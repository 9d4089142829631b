import { z } from 'zod'
import { Digest } from '#domain/digest'

/** The part of an image's config that containers started from it use. Docker's own field names. */
export const RuntimeConfig = z.looseObject({
  User: z.string().optional(),
  ExposedPorts: z.record(z.string(), z.object({})).nullish(),
  Env: z.array(z.string()).nullish(),
  Entrypoint: z.array(z.string()).nullish(),
  Cmd: z.array(z.string()).nullish(),
  Volumes: z.record(z.string(), z.object({})).nullish(),
  WorkingDir: z.string().optional(),
  Labels: z.record(z.string(), z.string()).nullish(),
  StopSignal: z.string().optional(),
  Shell: z.array(z.string()).nullish(),
  OnBuild: z.array(z.string()).nullish(),
  ArgsEscaped: z.boolean().optional(),
  Healthcheck: z
    .looseObject({
      Test: z.array(z.string()).optional(),
      /** Nanoseconds, as Docker writes them; likewise the next three. */
      Interval: z.number().optional(),
      Timeout: z.number().optional(),
      StartPeriod: z.number().optional(),
      StartInterval: z.number().optional(),
      Retries: z.number().optional(),
    })
    .nullish(),
})
export type RuntimeConfig = z.infer<typeof RuntimeConfig>

export const HistoryEntry = z.looseObject({
  created: z.string().optional(),
  created_by: z.string().optional(),
  comment: z.string().optional(),
  author: z.string().optional(),
  empty_layer: z.boolean().optional(),
})
export type HistoryEntry = z.infer<typeof HistoryEntry>

/** https://github.com/opencontainers/image-spec/blob/main/config.md; unknown fields are kept. */
export const ImageConfig = z.looseObject({
  created: z.string().nullish(),
  author: z.string().optional(),
  architecture: z.string(),
  os: z.string(),
  variant: z.string().optional(),
  config: RuntimeConfig.nullish(),
  rootfs: z.object({ type: z.literal('layers'), diff_ids: z.array(Digest).nullable() }),
  history: z.array(HistoryEntry).nullish(),
})
export type ImageConfig = z.infer<typeof ImageConfig>
