import { parentPort, workerData } from 'node:worker_threads'
import { type RepackJob, repack } from './repack.ts'
import { answer } from './run-in-thread.ts'

const job = workerData as RepackJob
await answer(parentPort, () => repack(job))
