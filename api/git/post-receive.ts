// Run by git after a push, through the script that `hooks.ts` writes: `post-receive.ts SOCKET PUSH wait|nowait`.
// Hands the moved refs to the API and prints its answer. What goes wrong here never fails a push that git has taken:
// the refs are left in the repository (git's working directory here), where `missed-pushes.ts` finds them.
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'

const [socketPath = '', push = '', mode = 'wait'] = process.argv.slice(2)
const updates = readFileSync(process.stdin.fd)

const keepForLater = (why: string) => {
  writeFileSync(`slipway-missed-${push}.part`, updates)
  renameSync(`slipway-missed-${push}.part`, `slipway-missed-${push}`)
  process.stdout.write(`The push is stored, and will be built when Slipway is back: ${why}\n`)
}

const call = request({ socketPath, method: 'POST', path: `/${push}/${mode}` }, (response) => {
  if (response.statusCode === 200) {
    // The API may go while it tells; by then it has queued the builds.
    response.on('error', () => {})
    response.pipe(process.stdout)
  } else {
    response.resume()
    keepForLater(`it answered ${response.statusCode}`)
  }
})
let isAnswered = false
call.on('response', () => (isAnswered = true))
call.on('error', (error) => {
  if (!isAnswered) keepForLater(error.message)
})
// The pusher has gone: there is nobody left to tell.
process.stdout.on('error', () => process.exit(0))
call.end(updates)
