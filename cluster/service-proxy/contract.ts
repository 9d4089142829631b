/** Leads connections to Services on to the pods behind them, by rules in the kernel. Disposing removes the rules. */
export interface ServiceProxy extends AsyncDisposable {
  /**
   * Takes a pod that is about to stop out of every rule. Resolves when the kernel sends it no new connection any more,
   * with the ports it was reached at: whoever stops the pod lets the connections to them end first.
   */
  settled(podUid: string, signal: AbortSignal): Promise<readonly number[]>
}
