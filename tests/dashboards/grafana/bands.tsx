// State timelines and heatmaps on Grafana's plot: its published components have neither. Frames in, bands of cells out.
import { FieldType, formattedValueToString, getFieldDisplayName, getValueFormat } from '@grafana/data';
import type { DataFrame, GrafanaTheme2, TimeRange, ValueFormatter } from '@grafana/data';
import { AxisPlacement, ScaleDirection, ScaleOrientation } from '@grafana/schema';
import { UPlotChart, UPlotConfigBuilder, measureText } from '@grafana/ui';
import { interpolateOranges } from 'd3-scale-chromatic';
import type { Span } from './model';

interface Cell {
  from: number; // milliseconds
  to: number;
  color: string;
  text: string;
}

export interface Band {
  name: string;
  cells: Cell[];
}

// Cells of equal value side by side are one.
export function stateBands(frames: DataFrame[], span: Span): Band[] {
  return frames.map((frame) => {
    const [time, values] = [frame.fields[0], frame.fields[1]];
    const cells: Cell[] = [];
    values.values.forEach((value, i) => {
      const shown = values.display!(value);
      const [from, last] = [time.values[i], cells[cells.length - 1]];
      if (last && last.text === shown.text && from - last.to <= span.step) {
        last.to = from + span.step;
      } else {
        cells.push({ from, to: from + span.step, color: shown.color ?? '', text: shown.text });
      }
    });
    return { name: getFieldDisplayName(values, frame, frames), cells: cells.map((one) => ({ ...one, to: Math.min(one.to, span.to) })) };
  });
}

// On a dark ground the many are light and the few are dark, as in Grafana.
export function heatBands(frames: DataFrame[], span: Span, exponent: number, unit: string): Band[] {
  const shown = getValueFormat(unit);
  const numbers = frames.flatMap((frame) => frame.fields.filter((field) => field.type === FieldType.number));
  const most = Math.max(...numbers.flatMap((field) => field.values));
  return frames.map((frame) => ({
    name: bound(getFieldDisplayName(frame.fields[1], frame, frames), shown),
    cells: frame.fields[0].values.flatMap((at, i) => {
      const value = frame.fields[1].values[i];
      return value > 1e-9 ? [{ from: at - span.step, to: at, color: interpolateOranges(1 - (value / most) ** exponent), text: '' }] : [];
    }),
  }));
}

function bound(le: string, shown: ValueFormatter): string {
  return Number.isFinite(Number(le)) ? formattedValueToString(shown(Number(le))) : le;
}

interface Props {
  bands: Band[]; // lowest first
  gap: number; // share of a band that stays empty
  range: TimeRange;
  width: number;
  height: number;
  theme: GrafanaTheme2;
}

export function Bands({ bands, gap, range, width, height, theme }: Props) {
  const builder = new UPlotConfigBuilder('utc');
  builder.addScale({ scaleKey: 'x', isTime: true, orientation: ScaleOrientation.Horizontal, direction: ScaleDirection.Right,
    range: () => [range.from.valueOf(), range.to.valueOf()] });
  builder.addScale({ scaleKey: 'y', isTime: false, orientation: ScaleOrientation.Vertical, direction: ScaleDirection.Up,
    range: () => [0, bands.length] });
  builder.addAxis({ scaleKey: 'x', isTime: true, placement: AxisPlacement.Bottom, timeZone: 'utc', theme, grid: { show: false } });
  const every = Math.ceil((bands.length * 16) / Math.max(1, height - 30));
  const named = bands.map((_, n) => n).filter((n) => n % every === 0);
  builder.addAxis({ scaleKey: 'y', placement: AxisPlacement.Left, theme, grid: { show: false }, ticks: { show: false },
    splits: () => named.map((n) => n + 0.5), values: () => named.map((n) => bands[n].name), size: Math.min(width / 2, 12 + Math.max(...named.map((n) => measureText(bands[n].name, 12).width))) });
  builder.addSeries({ scaleKey: 'y', show: false, theme } as any);
  builder.addHook('draw', (plot) => {
    const { ctx } = plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(plot.bbox.left, plot.bbox.top, plot.bbox.width, plot.bbox.height);
    ctx.clip();
    ctx.font = `${12 * devicePixelRatio}px ${theme.typography.fontFamily}`;
    ctx.textAlign = 'left';
    ctx.textBaseline = 'middle';
    bands.forEach((band, n) => {
      const top = plot.valToPos(n + 1 - gap / 2, 'y', true);
      const bottom = plot.valToPos(n + gap / 2, 'y', true);
      for (const cell of band.cells) {
        const left = plot.valToPos(cell.from, 'x', true);
        const right = plot.valToPos(cell.to, 'x', true);
        ctx.fillStyle = cell.color;
        ctx.globalAlpha = cell.text ? 0.7 : 1;
        ctx.fillRect(left, top, Math.max(1, right - left), bottom - top);
        ctx.globalAlpha = 1;
        const inside = Math.max(left, plot.bbox.left) + 6 * devicePixelRatio;
        if (cell.text && ctx.measureText(cell.text).width < right - inside) {
          ctx.fillStyle = theme.colors.getContrastText(cell.color);
          ctx.fillText(cell.text, inside, (top + bottom) / 2);
        }
      }
    });
    ctx.restore();
  });
  const times = [range.from.valueOf(), range.to.valueOf()];
  return <UPlotChart config={builder} data={[times, [null, null]] as any} width={width} height={height} />;
}
