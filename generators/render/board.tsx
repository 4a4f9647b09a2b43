// A dashboard's panels in their grid, as the recorded incident fills them.
import '@grafana/react-data-grid/lib/styles.css';
import 'uplot/dist/uPlot.min.css';
import { ThemeContext } from '@grafana/data';
import { GlobalStyles, PanelChrome, PortalContainer } from '@grafana/ui';
import { createRoot } from 'react-dom/client';
import { Content, type Panel, theme, useFrames } from './panels';

const WIDTH = 1584;
const COLUMN = WIDTH / 24;
const ROW = 38;
const GAP = 8;
const HEAD = 56;
const FOOT = 30;
const SAYS = "Drawn with Grafana's panel components from a recorded incident, not by a Grafana server.";

declare global {
  interface Window {
    board: any;
    shown: number;
  }
}

const place = (grid: any) => ({
  left: grid.x * COLUMN,
  top: HEAD + grid.y * ROW,
  width: grid.w * COLUMN - GAP,
  height: grid.h * ROW - GAP,
});

function Drawn({ panel }: { panel: Panel }) {
  const at = place(panel.spec.gridPos);
  const frames = useFrames(panel);
  return (
    <div style={{ position: 'absolute', ...at }}>
      <PanelChrome width={at.width} height={at.height} title={panel.spec.title}>
        {(width, height) =>
          frames && (
            <Content panel={panel} frames={frames} width={width} height={height} time={window.board} />
          )
        }
      </PanelChrome>
    </div>
  );
}

function Head() {
  const { title, variables, from, to } = window.board;
  const clock = (at: number) => new Date(at).toISOString().slice(11, 19);
  return (
    <div style={{ display: 'flex', gap: 20, alignItems: 'center', height: HEAD, padding: '0 4px' }}>
      <span style={{ fontSize: 20, fontWeight: 500 }}>{title}</span>
      {Object.entries<any>(variables).map(([name, { label, text }]) => (
        <span key={name}>
          <span style={{ color: theme.colors.text.secondary }}>{label}</span> {text}
        </span>
      ))}
      <span style={{ marginLeft: 'auto', color: theme.colors.text.secondary }}>
        {clock(from)} to {clock(to)} UTC
      </span>
    </div>
  );
}

function Board() {
  const { panels, rows, until } = window.board;
  const below = (grid: any) => grid.y + grid.h <= until;
  return (
    <div style={{ position: 'relative', width: WIDTH, height: HEAD + until * ROW + FOOT }}>
      <Head />
      {rows.filter((row: any) => below(row.gridPos)).map((row: any) => (
        <div key={row.id} style={{ position: 'absolute', ...place(row.gridPos), fontSize: 16, fontWeight: 500 }}>
          {row.title}
        </div>
      ))}
      {panels
        .filter((panel: Panel) => below(panel.spec.gridPos))
        .map((panel: Panel) => (
          <Drawn key={panel.spec.id} panel={panel} />
        ))}
      <div style={{ position: 'absolute', bottom: 4, left: 4, color: theme.colors.text.secondary }}>{SAYS}</div>
    </div>
  );
}

createRoot(document.getElementById('root')!).render(
  <ThemeContext.Provider value={theme}>
    <GlobalStyles />
    <Board />
    <PortalContainer />
  </ThemeContext.Provider>
);
