// The page: window.given in, the dashboard on Grafana's grid out; window.report says what is wrong with it.
import { createTheme } from '@grafana/data';
import type { DataFrame, GrafanaTheme2 } from '@grafana/data';
import { GlobalStyles, Icon, PanelChrome, ThemeContext } from '@grafana/ui';
import { createRoot } from 'react-dom/client';
import { withSettings } from './fields';
import { framesOf } from './frames';
import type { Given, Panel } from './model';
import { Visual, isEmpty } from './panels';
import { report } from './report';

const [COLUMNS, ROW, GAP, EDGE] = [24, 30, 8, 16]; // Grafana's grid, in pixels
const HEAD = 84;

function place({ x, y, w, h }: Panel['gridPos'], columnWidth: number) {
  return {
    left: EDGE + x * (columnWidth + GAP), top: HEAD + y * (ROW + GAP),
    width: w * (columnWidth + GAP) - GAP, height: h * (ROW + GAP) - GAP,
  };
}

function Board({ given, frames, theme }: { given: Given; frames: Map<number, DataFrame[]>; theme: GrafanaTheme2 }) {
  const width = document.documentElement.clientWidth;
  const columnWidth = (width - 2 * EDGE + GAP) / COLUMNS - GAP;
  const end = Math.max(...given.panels.map(({ gridPos }) => gridPos.y + gridPos.h));
  return (
    <div style={{ position: 'relative', width, height: HEAD + end * (ROW + GAP) + GAP, background: theme.colors.background.canvas }}>
      <Head given={given} theme={theme} />
      {given.panels.map((panel) => {
        const { width, height, ...at } = place(panel.gridPos, columnWidth);
        const style = { position: 'absolute' as const, ...at, width, height };
        if (panel.type === 'row') {
          return (
            <div key={panel.id} data-row={panel.title} style={{ ...style, display: 'flex', alignItems: 'center', gap: 8, fontWeight: 500 }}>
              <Icon name={panel.collapsed ? 'angle-right' : 'angle-down'} /> {panel.title}
              {panel.collapsed && <span style={{ color: theme.colors.text.secondary }}>({panel.panels?.length} panels)</span>}
            </div>
          );
        }
        const found = frames.get(panel.id)!;
        return (
          <div key={panel.id} style={style} data-panel={panel.title} data-empty={isEmpty(found) || undefined}>
            <PanelChrome title={panel.title} description={panel.description} width={width} height={height}
              padding={panel.type === 'table' ? 'none' : 'md'}>
              {(width, height) => <Visual panel={panel} frames={found} given={given} width={width} height={height} theme={theme} />}
            </PanelChrome>
          </div>
        );
      })}
    </div>
  );
}

function Head({ given, theme }: { given: Given; theme: GrafanaTheme2 }) {
  const box = { border: `1px solid ${theme.colors.border.medium}`, borderRadius: 2, padding: '2px 8px', whiteSpace: 'nowrap' as const };
  return (
    <div style={{ padding: EDGE, height: HEAD }}>
      <div style={{ fontSize: 18, fontWeight: 500, marginBottom: 8 }}>{given.title}</div>
      <div style={{ display: 'flex', gap: 8, fontSize: 12 }}>
        {given.variables.map(({ label, value }) => (
          <span key={label} style={box}>
            <span style={{ color: theme.colors.text.secondary }}>{label}</span> {value}
          </span>
        ))}
      </div>
    </div>
  );
}

async function main() {
  const theme = createTheme({ colors: { mode: 'dark' } });
  const { given } = window;
  const shown = given.panels.filter((panel) => panel.type !== 'row');
  const frames = new Map<number, DataFrame[]>();
  for (const panel of shown) {
    frames.set(panel.id, withSettings(panel, await framesOf(panel, given), theme));
  }
  await document.fonts.load('12px Inter');
  createRoot(document.getElementById('board')!).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <Board given={given} frames={frames} theme={theme} />
    </ThemeContext.Provider>
  );
}

Object.assign(window, { report });
void main();
