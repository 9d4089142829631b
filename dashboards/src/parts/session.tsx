import { useMutation, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, type ReactNode, useState } from 'react'
import { ApiError, api } from '../api.ts'

/** Where a page's data is missing: signs in, says what failed, or says that it loads. */
export function Missing({ error }: { error: Error | null }): ReactNode {
  if (error instanceof ApiError && error.status === 401) return <SignIn />
  if (error) return <p className="notice notice-bad">{error.message}</p>
  return <p className="muted">Loading…</p>
}

function SignIn() {
  const client = useQueryClient()
  const [token, setToken] = useState('')
  const login = useMutation({ mutationFn: api.login, onSuccess: () => client.resetQueries() })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    login.mutate(token.trim())
  }
  return (
    <form className="card sign-in" onSubmit={submit}>
      <h1>Sign in</h1>
      <p className="muted">
        The admin token lies in the file <code>admin-token</code> of the data directory.
      </p>
      <label>
        Token
        <input
          type="password"
          autoComplete="current-password"
          required
          value={token}
          onChange={(event) => setToken(event.target.value)}
        />
      </label>
      <button type="submit" disabled={login.isPending}>
        Sign in
      </button>
      {login.error && <p className="notice notice-bad">{login.error.message}</p>}
    </form>
  )
}
