// Runs in the page: notes how late each line `at UPTIME` of the log appears, and tells the benchmark through `noteDelay`.
const seen = new Set()

function readLines() {
  const nowMs = Date.now()
  for (const element of document.querySelectorAll('.log-text')) {
    const stamp = /^at (\d+\.\d+)$/.exec(element.textContent)?.[1]
    if (!stamp || seen.has(stamp)) continue
    seen.add(stamp)
    window.noteLine(Number(stamp), nowMs)
  }
}

new MutationObserver(readLines).observe(document, { childList: true, subtree: true, characterData: true })
