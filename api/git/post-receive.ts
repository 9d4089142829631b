// Run by git after a push, through the script that `hooks.ts` writes: `post-receive.ts SOCKET PUSH wait|nowait`.
// Hands the moved refs to the API and prints its answer. What goes wrong here never fails a push that git has taken.
import { request } from 'node:http'

const [socketPath = '', push = '', mode = 'wait'] = process.argv.slice(2)

const call = request({ socketPath, method: 'POST', path: `/${push}/${mode}` }, (response) => {
  response.on('error', () => {})
  response.pipe(process.stdout)
})
call.on('error', (error) => {
  process.stdout.write(`The push was stored, but Slipway could not be told: ${error.message}\n`)
})
// The pusher has gone: there is nobody left to tell.
process.stdout.on('error', () => process.exit(0))
process.stdin.pipe(call)
