import { useQueryClient } from '@tanstack/react-query'
import { Link, Outlet } from '@tanstack/react-router'
import { useState } from 'react'
import { api } from '../api.ts'

const PAGES = [
  ['/', 'Builds'],
  ['/projects', 'Projects'],
  ['/rollouts', 'Rollouts'],
  ['/deliveries', 'Deliveries'],
] as const

/** What stands around every page. */
export function Layout() {
  const client = useQueryClient()
  const logout = () => void api.logout().finally(() => void client.invalidateQueries())
  return (
    <>
      <a className="skip-link" href="#main">
        Skip to the content
      </a>
      <header className="top">
        <Link to="/" className="brand">
          <img src="/slipway.svg" alt="" width="24" height="24" /> Slipway
        </Link>
        <nav aria-label="Pages">
          {PAGES.map(([to, label]) => (
            <Link key={to} to={to} activeOptions={{ exact: to === '/' }} activeProps={{ 'aria-current': 'page' }}>
              {label}
            </Link>
          ))}
        </nav>
        <ThemeSwitch />
        <button type="button" className="quiet" onClick={logout}>
          Sign out
        </button>
      </header>
      <main id="main">
        <Outlet />
      </main>
    </>
  )
}

const THEMES = ['system', 'light', 'dark'] as const

function ThemeSwitch() {
  const [theme, setTheme] = useState(() => localStorage.getItem('theme') ?? 'system')
  const next = THEMES[(THEMES.indexOf(theme as (typeof THEMES)[number]) + 1) % THEMES.length] ?? 'system'
  const change = () => {
    localStorage.setItem('theme', next)
    document.documentElement.dataset['theme'] = next
    setTheme(next)
  }
  return (
    <button type="button" className="quiet" onClick={change} title={`Switch to ${next}`}>
      Theme: {theme}
    </button>
  )
}
