import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  plugins: [react()],
  server: {
    // The API answers as if the page came from it: cookies and the policy on origins stay those of production.
    proxy: { '/api': { target: 'http://127.0.0.1:8001', changeOrigin: false } },
  },
  build: {
    target: ['chrome111', 'edge111', 'firefox114', 'safari16.4'],
    // Whatever is under /assets/ carries a hash of its content in its name, so that it may be kept for ever.
    assetsDir: 'assets',
    // The policy is `script-src 'self'`, and these browsers preload modules by themselves.
    modulePreload: { polyfill: false },
    // A `data:` URL would be refused as a font or a style; a file never is.
    assetsInlineLimit: 0,
    // What counts is what comes first, gzipped: scripts/size.mjs looks at that.
    chunkSizeWarningLimit: 1000,
  },
  test: {
    projects: [
      {
        extends: true,
        test: { name: 'client', include: ['src/services/**/*.test.ts'], environment: 'node' },
      },
      {
        extends: true,
        test: { name: 'pages', include: ['src/**/*.test.tsx'], environment: 'jsdom' },
      },
    ],
  },
});
