import { parentPort, workerData } from 'node:worker_threads'
import { packUpper, type UpperJob } from './pack-upper.ts'
import { answer, tell } from './run-in-thread.ts'

const job = workerData as UpperJob
await answer(parentPort, () => packUpper(job, (read) => tell(parentPort, read)))
