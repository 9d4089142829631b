import { AxeBuilder } from '@axe-core/playwright'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type RunningSlipway, startSlipway } from '../support/slipway.ts'

let slipway: RunningSlipway
let browser: Browser
let context: BrowserContext
let page: Page
const complaints: string[] = []

beforeAll(async () => {
  slipway = await startSlipway()
  browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
  context = await browser.newContext({ viewport: { width: 1280, height: 800 } })
  page = await context.newPage()
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()))
  page.on('pageerror', (error) => complaints.push(String(error)))
})

afterAll(async () => {
  await browser?.close()
  await slipway?.[Symbol.asyncDispose]()
})

test('signs in with the admin token', async () => {
  await page.goto(slipway.baseUrl)
  await page.getByLabel('Token').fill('wrong-token')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.locator('.notice-bad').waitFor()
  await page.getByLabel('Token').fill(slipway.token)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('heading', { name: 'Builds' }).waitFor()
  // The refusals above are what the console tells of; nothing else may.
  expect(complaints.filter((text) => !text.includes('401'))).toEqual([])
  complaints.length = 0
})

test('a push shows up by itself, and its log comes while the step runs', async () => {
  const repository = await slipway.repository('check/live', {
    Dockerfile: 'FROM scratch\nCOPY hello /hello\n',
    hello: '#!/bin/sh\n',
  })
  await repository.push()
  await page.getByRole('link', { name: /check\/live #1/ }).waitFor()

  await importBusybox()
  await repository.write({
    Dockerfile: 'FROM busybox\nRUN for i in $(seq 1 40); do echo "line $i"; sleep 0.25; done; echo "<b>bold</b>"\n',
  })
  await repository.commit('Talk for a while')
  await repository.push('-o', 'nowait')
  await page.getByRole('link', { name: /check\/live #2/ }).click()
  await page.getByText('line 3', { exact: true }).waitFor()
  await page.getByText('running', { exact: true }).first().waitFor()
  await page.getByText('<b>bold</b>', { exact: true }).waitFor()
  await page.getByText('succeeded', { exact: true }).first().waitFor()
  expect(await page.getByText('line 40', { exact: true }).count()).toBe(1)
})

test('a running build is cancelled from its page', async () => {
  const repository = await slipway.repository('check/stuck', {
    Dockerfile: 'FROM busybox\nRUN echo begun; sleep 300\n',
  })
  await repository.push('-o', 'nowait')
  const build = await slipway.newest('check/stuck')
  await page.goto(`${slipway.baseUrl}/builds/${build.id}`)
  await page.getByText('begun', { exact: true }).waitFor()
  await page.getByRole('button', { name: 'Cancel' }).click()
  await page.getByText('cancelled', { exact: true }).first().waitFor()
  expect((await slipway.build('check/stuck', 1)).error?.kind).toBe('cancelled')
})

test('a failed build shows the error with its place in the Dockerfile', async () => {
  const repository = await slipway.repository('check/fails', {
    Dockerfile: 'FROM busybox\nRUN echo last words; exit 7\n',
  })
  await repository.push().catch(() => '')
  const build = await slipway.build('check/fails', 1)
  await page.goto(`${slipway.baseUrl}/builds/${build.id}`)
  const card = page.getByRole('region', { name: 'Why it failed' })
  await card.getByText('exit code: 7').waitFor()
  expect(await card.locator('.excerpt').first().innerText()).toContain('>>> RUN echo last words; exit 7')
  await card.getByLabel('Last lines of the step').getByText('last words', { exact: true }).waitFor()
  await page.getByRole('log').getByText('last words', { exact: true }).waitFor()
})

test('warnings name their rule, link to it, and mark the lines they mean', async () => {
  const repository = await slipway.repository('check/warns', {
    Dockerfile: 'FROM scratch AS Web\nLABEL a=b\nCOPY hello \\\n  /hello\nCMD start\n',
    hello: 'hello\n',
  })
  const told = await repository.push()
  expect(told).toContain('WARNING: StageNameCasing - https://docs.docker.com/go/dockerfile/rule/stage-name-casing/')
  expect(told).toContain('>>> FROM scratch AS Web')
  const build = await slipway.build('check/warns', 1)
  expect(build.warnings.map(({ rule, line }) => [rule, line])).toEqual([
    ['StageNameCasing', 1],
    ['JSONArgsRecommended', 5],
  ])
  await page.goto(`${slipway.baseUrl}/builds/${build.id}`)
  const card = page.getByRole('region', { name: 'Warnings' })
  const link = card.getByRole('link', { name: 'JSONArgsRecommended' })
  expect(await link.getAttribute('href')).toBe('https://docs.docker.com/go/dockerfile/rule/json-args-recommended/')
  await card.getByText("Stage name 'Web' should be lowercase").waitFor()
  expect(await card.locator('mark').allInnerTexts()).toEqual([
    expect.stringContaining('FROM scratch AS Web'),
    expect.stringContaining('CMD start'),
  ])
})

test.for(['light', 'dark'] as const)('no page has serious accessibility faults in %s', async (scheme) => {
  await page.emulateMedia({ colorScheme: scheme })
  const build = await slipway.newest('check/fails')
  const warned = await slipway.newest('check/warns')
  for (const path of [
    '/',
    `/builds/${build.id}`,
    `/builds/${warned.id}`,
    '/projects',
    '/projects/check/live',
    '/rollouts',
    '/deliveries',
  ]) {
    await page.goto(slipway.baseUrl + path)
    await page.getByRole('heading', { level: 1 }).waitFor()
    const { violations } = await new AxeBuilder({ page }).analyze()
    const serious = violations.filter((one) => one.impact === 'serious' || one.impact === 'critical')
    expect(serious.map((one) => `${path}: ${one.id} ${one.nodes.map((node) => node.target).join(' ')}`)).toEqual([])
  }
})

test('the console stayed silent', () => {
  expect(complaints).toEqual([])
})

async function importBusybox(): Promise<void> {
  const { cp, mkdir, mkdtempDisposable, symlink } = await import('node:fs/promises')
  const { tmpdir } = await import('node:os')
  const { join } = await import('node:path')
  await using root = await mkdtempDisposable(join(tmpdir(), 'slipway-busybox-'))
  await mkdir(join(root.path, 'bin'))
  await cp('/bin/busybox', join(root.path, 'bin/busybox'))
  for (const applet of ['sh', 'echo', 'sleep', 'seq']) await symlink('busybox', join(root.path, 'bin', applet))
  await slipway.slipway('import', root.path, 'busybox')
}
