import { parentPort, workerData } from 'node:worker_threads'
import { type ApplyJob, applyBlob } from './apply-blob.ts'
import { answer } from './run-in-thread.ts'

const job = workerData as ApplyJob
await answer(parentPort, () => applyBlob(job, job.path === null ? process.stdin : null))
