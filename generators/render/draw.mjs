// Draw dashboards: node draw.mjs FRAMES_FOLDER PICTURES_FOLDER [UID…]; prints the words of each, as JSON lines.
import { build } from 'esbuild';
import { mkdtemp, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const [frames, pictures, ...wanted] = process.argv.slice(2);
const PROGRAM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const WIDTH = 1600;
const SCREENS = { 'poolscope-overview': 37, 'poolscope-pool': 43, 'poolscope-server': 37, 'poolscope-exporter': 37,
  'poolscope-fleet': 41, 'poolscope-slo': 40 };

const here = path.dirname(fileURLToPath(import.meta.url));
const work = await mkdtemp(path.join(tmpdir(), 'poolscope-render-'));
await build({
  entryPoints: [path.join(here, 'board.tsx')],
  outfile: path.join(work, 'board.js'),
  bundle: true,
  jsx: 'automatic',
  define: { 'process.env.NODE_ENV': '"production"' },
  loader: { '.svg': 'dataurl', '.woff2': 'dataurl', '.ttf': 'dataurl' },
  logLevel: 'error',
});

const browser = await chromium.launchPersistentContext(path.join(work, 'profile'), {
  executablePath: PROGRAM,
  viewport: { width: WIDTH, height: 1200 },
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync',
    '--disable-background-networking', '--disable-component-update',
  ],
});
// Nothing but what is in the bundle: a picture needs no network.
await browser.route((url) => url.protocol !== 'file:', (route) => route.abort());

try {
  await mkdir(pictures, { recursive: true });
  for (const name of (await readdir(frames)).filter((each) => each.endsWith('.json')).sort()) {
    const uid = path.basename(name, '.json');
    if (wanted.length === 0 || wanted.includes(uid)) {
      await draw(uid, JSON.parse(await readFile(path.join(frames, name), 'utf8')));
    }
  }
} finally {
  await browser.close();
  await rm(work, { recursive: true, force: true });
}

async function draw(uid, board) {
  const until = Number(process.env.UNTIL ?? SCREENS[uid] ?? 37);
  const page = await browser.newPage();
  const problems = [];
  page.on('pageerror', (error) => problems.push(error.stack ?? error.message));
  const told = JSON.stringify({ ...board, until }).replaceAll('<', '\\u003c');
  const html = path.join(work, `${uid}.html`);
  await writeFile(html, `<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="board.css"><body style="margin:8px"><div id="root"></div>
<script>window.board = ${told};</script><script src="board.js"></script>`);
  await page.setViewportSize({ width: WIDTH, height: until * 38 + 102 });
  await page.goto(`file://${html}`, { timeout: 120_000 }); // a busy machine is slow
  await page.waitForTimeout(2500); // charts are drawn after their fonts and sizes are known
  await page.screenshot({ path: path.join(pictures, `${uid}.png`) });
  const words = await page.locator('#root').innerText();
  await page.close();
  if (problems.length > 0) {
    throw new Error(`${uid}: ${problems.join('\n')}`);
  }
  console.log(JSON.stringify({ uid, words }));
}
