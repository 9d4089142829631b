import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { createRootRoute, createRoute, createRouter, RouterProvider } from '@tanstack/react-router'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { ApiError } from './api.ts'
import { BuildPage } from './pages/build.tsx'
import { BuildsPage } from './pages/builds.tsx'
import { DeliveriesPage } from './pages/deliveries.tsx'
import { ProjectPage } from './pages/project.tsx'
import { ProjectsPage } from './pages/projects.tsx'
import { RolloutsPage } from './pages/rollouts.tsx'
import { Layout } from './parts/layout.tsx'
import './slipway.css'

const root = createRootRoute({
  component: Layout,
  notFoundComponent: () => <p className="empty">There is no such page.</p>,
})

const routes = [
  createRoute({ getParentRoute: () => root, path: '/', component: BuildsPage }),
  createRoute({ getParentRoute: () => root, path: '/builds/$id', component: BuildPage }),
  createRoute({ getParentRoute: () => root, path: '/projects', component: ProjectsPage }),
  createRoute({ getParentRoute: () => root, path: '/projects/$namespace/$name', component: ProjectPage }),
  createRoute({ getParentRoute: () => root, path: '/rollouts', component: RolloutsPage }),
  createRoute({ getParentRoute: () => root, path: '/deliveries', component: DeliveriesPage }),
] as const

const router = createRouter({ routeTree: root.addChildren(routes), defaultPreload: 'intent' })

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}

// The server tells us what changes; asking again on focus or by the clock would only be noise.
const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: Number.POSITIVE_INFINITY,
      refetchOnWindowFocus: false,
      refetchOnMount: 'always',
      retry: (count, error) => count < 2 && !(error instanceof ApiError && error.status < 500),
    },
  },
})

document.documentElement.dataset['theme'] = localStorage.getItem('theme') ?? 'system'

const element = document.getElementById('root')
if (!element) throw new Error('index.html has no #root')
createRoot(element).render(
  <StrictMode>
    <QueryClientProvider client={client}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </StrictMode>,
)
