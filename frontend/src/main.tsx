import { QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';

import { followSession } from './app/events';
import { createQueryClient } from './app/query';
import { createAppRouter } from './app/router';
import { startTheme } from './app/theme';
import './styles/index.css';

const root = document.getElementById('root');
if (!root) throw new Error('The page has no root element.');

// react-aria injects a style under this id unless there is one, and the Content-Security-Policy refuses injected styles.
// The rule itself is in base.css.
const instead = document.createElement('meta');
instead.id = 'react-aria-pressable-style';
document.head.append(instead);

startTheme();
const queries = createQueryClient();
const router = createAppRouter(queries);
followSession(queries, router);

createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </StrictMode>,
);
