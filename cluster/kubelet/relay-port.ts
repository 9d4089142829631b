/** Runs inside a pod's network namespace: copies its standard streams to and from a port of the loopback. */
import { connect } from 'node:net'

const port = Number(process.argv[2])
const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
socket.once('connect', () => {
  process.stderr.write('connected\n')
  process.stdin.pipe(socket)
  socket.pipe(process.stdout)
})
socket.once('error', (error) => {
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
  process.stdin.destroy()
})
