// One panel: its frames and size in, Grafana's component for its kind out, with the options of its JSON.
import { FieldType, dateTime, getDisplayValueAlignmentFactors, getFieldDisplayValues } from '@grafana/data';
import type { DataFrame, FieldDisplay, GrafanaTheme2, TimeRange } from '@grafana/data';
import { VizOrientation } from '@grafana/schema';
import { BarGauge, BigValue, TimeSeries, VizRepeater } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import { Bands, heatBands, stateBands } from './bands';
import type { Given, Panel } from './model';

interface Props {
  panel: Panel;
  frames: DataFrame[];
  given: Given;
  width: number;
  height: number;
  theme: GrafanaTheme2;
}

export function isEmpty(frames: DataFrame[]): boolean {
  return !frames.some((frame) => frame.fields.some((field) => field.type === FieldType.number && field.values.length));
}

export function Visual(props: Props) {
  const { panel, frames, given, width, height, theme } = props;
  const { span } = given;
  const range: TimeRange = { from: dateTime(span.from), to: dateTime(span.to), raw: { from: 'now-1h', to: 'now' } };
  const size = { width, height, theme };
  if (isEmpty(frames)) {
    return <div style={{ ...size, display: 'grid', placeItems: 'center', color: theme.colors.text.secondary }}>No data</div>;
  }
  switch (panel.type) {
    case 'timeseries':
      return <Graph {...props} range={range} />;
    case 'table':
      return <TableNG data={frames[0]} width={width} height={height} sortBy={panel.options.sortBy} cellHeight={panel.options.cellHeight}
        enableVirtualization={false} />;
    case 'stat':
      return <Figures {...props} values={displayed(props, true)} />;
    case 'bargauge':
      return <Gauges {...props} values={displayed(props, false)} />;
    case 'state-timeline':
      return <Bands bands={stateBands(frames, span).reverse()} gap={1 - panel.options.rowHeight} range={range} {...size} />;
    case 'heatmap':
      return <Bands bands={heatBands(frames, span, panel.options.color.exponent, panel.options.yAxis.unit)} gap={0} range={range} {...size} />;
    default:
      throw new Error(`no component for panels of type ${panel.type}`);
  }
}

function Graph({ panel, frames, given, width, height, theme, range }: Props & { range: TimeRange }) {
  return (
    <TimeSeries frames={finite(frames)} structureRev={1} timeRange={range} timeZone="utc" width={width} height={height} theme={theme}
      legend={panel.options.legend} options={panel.options} replaceVariables={(text: string) => text}>
      {(config) => {
        config.addHook('drawAxes', (plot) => {
          const { ctx, bbox } = plot;
          ctx.save();
          ctx.setLineDash([4, 4]);
          for (const event of given.events) {
            const x = plot.valToPos(event.at, 'x', true);
            ctx.strokeStyle = theme.visualization.getColorByName(event.color);
            ctx.beginPath();
            ctx.moveTo(x, bbox.top);
            ctx.lineTo(x, bbox.top + bbox.height);
            ctx.stroke();
          }
          ctx.restore();
        });
        return null;
      }}
    </TimeSeries>
  );
}

// What is not a number is a gap.
function finite(frames: DataFrame[]): DataFrame[] {
  return frames.map((frame) => ({
    ...frame,
    fields: frame.fields.map((field) => ({ ...field, values: field.values.map((value) => (Number.isFinite(value) ? value : null)) })),
  }));
}

function displayed({ panel, frames, theme }: Props, sparkline: boolean): FieldDisplay[] {
  return getFieldDisplayValues({
    fieldConfig: { defaults: {}, overrides: [] }, reduceOptions: panel.options.reduceOptions, replaceVariables: (text) => text,
    data: frames, theme, sparkline: sparkline && panel.options.graphMode !== 'none', timeZone: 'utc',
  });
}

function Figures({ panel, width, height, theme, values }: Props & { values: FieldDisplay[] }) {
  const { colorMode, graphMode, justifyMode, textMode, wideLayout } = panel.options;
  return (
    <VizRepeater source={values} getValues={() => values} width={width} height={height} renderCounter={0} autoGrid orientation={VizOrientation.Auto}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={({ value, width, height, alignmentFactors, count }) => (
        <BigValue value={value.display} count={count} sparkline={value.sparkline} width={width} height={height} theme={theme}
          alignmentFactors={alignmentFactors as any} colorMode={colorMode} graphMode={graphMode} justifyMode={justifyMode} textMode={textMode}
          wideLayout={wideLayout} />
      )} />
  );
}

function Gauges({ panel, width, height, theme, values }: Props & { values: FieldDisplay[] }) {
  const { displayMode, minVizHeight, minVizWidth, namePlacement, orientation, showUnfilled, valueMode } = panel.options;
  return (
    <VizRepeater source={values} getValues={() => values} width={width} height={height} renderCounter={0} orientation={orientation} itemSpacing={8}
      minVizHeight={minVizHeight} minVizWidth={minVizWidth} maxVizHeight={300} getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={({ value, width, height, orientation, alignmentFactors, count }) => (
        <BarGauge value={value.display} width={width} height={height} orientation={orientation} field={value.field} theme={theme}
          display={value.view?.getFieldDisplayProcessor(value.colIndex!)} alignmentFactors={count > 1 ? (alignmentFactors as any) : undefined}
          itemSpacing={8} lcdCellWidth={12} displayMode={displayMode} showUnfilled={showUnfilled} valueDisplayMode={valueMode}
          namePlacement={namePlacement} />
      )} />
  );
}
