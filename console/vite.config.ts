/**
 * How the console is built: static files below `/console/`, one script for each page.
 *
 * Rule: the built page runs under a policy without inline scripts or styles and without foreign origins, so nothing is inlined.
 * Loaded by `scripts/build-console.mjs` and by Vite's own server.
 */
import { defineConfig } from 'vite';

export default defineConfig({
  base: '/console/',
  root: import.meta.dirname,
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: '../dist/console',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
});
