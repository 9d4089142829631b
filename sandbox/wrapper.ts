/**
 * The words to put in front of a program so that its sandbox dies with it: process and mount namespaces of its own,
 * whose kernel-made end takes every container, mount and pinned network along. Killing either unshare or the program
 * is enough. The program is process 1 inside, so it has to handle SIGTERM itself.
 */
export function sandboxWrapper(): string[] {
  return ['unshare', '--pid', '--fork', '--kill-child', '--mount', '--mount-proc', '--propagation', 'slave', '--']
}
