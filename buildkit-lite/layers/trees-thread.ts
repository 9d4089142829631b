import { parentPort, workerData } from 'node:worker_threads'
import { packTrees, type TreesJob } from './pack-trees.ts'
import { answer } from './run-in-thread.ts'

const job = workerData as TreesJob
await answer(parentPort, async () => packTrees(job))
