// Answers of Prometheus in, Grafana's data frames out, as its data source makes them.
import { FieldType, createDataFrame, standardTransformers, standardTransformersRegistry, transformDataFrame } from '@grafana/data';
import type { DataFrame } from '@grafana/data';
import { firstValueFrom } from 'rxjs';
import type { Given, Panel, Series, Span, Target } from './model';

standardTransformersRegistry.setInit(() =>
  [
    standardTransformers.mergeTransformer, standardTransformers.filterFieldsByNameTransformer,
    standardTransformers.organizeFieldsTransformer,
  ].map((one) => ({
    id: one.id, name: one.name, transformation: () => Promise.resolve(one), editor: () => null, imageDark: '', imageLight: '',
  }))
);

export async function framesOf(panel: Panel, given: Given): Promise<DataFrame[]> {
  const frames = panel.targets.flatMap((target) => {
    const answer = given.answers[`${panel.id},${target.refId}`] ?? [];
    if (target.format === 'table') {
      return answer.length ? [tableFrame(target, answer, panel.targets.length > 1)] : [];
    }
    const series = answer.map((one) => seriesFrame(target, one, given.span));
    return target.format === 'heatmap' ? buckets(series) : series;
  });
  const steps = (panel.transformations ?? []).map(({ id, options }) => ({ id, options }));
  return firstValueFrom(transformDataFrame(steps, frames));
}

function seriesFrame(target: Target, one: Series, span: Span): DataFrame {
  const points = one.values ?? (one.value ? [one.value] : []);
  const name = target.legendFormat.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => one.metric[label] ?? '');
  return createDataFrame({
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: points.map(([at]) => at * 1000), config: { interval: span.step } },
      {
        name: 'Value', type: FieldType.number, values: points.map(([, value]) => Number(value)), labels: one.metric,
        config: { displayNameFromDS: name },
      },
    ],
  });
}

function tableFrame(target: Target, answer: Series[], several: boolean): DataFrame {
  const labels = [...new Set(answer.flatMap((one) => Object.keys(one.metric)))].sort();
  const values = answer.map((one) => Number(one.value?.[1]));
  return createDataFrame({
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: answer.map((one) => (one.value?.[0] ?? 0) * 1000) },
      ...labels.map((label) => ({ name: label, type: FieldType.string, values: answer.map((one) => one.metric[label] ?? '') })),
      { name: several ? `Value #${target.refId}` : 'Value', type: FieldType.number, values },
    ],
  });
}

// Cumulative buckets become counts of their own, lowest bound first.
function buckets(series: DataFrame[]): DataFrame[] {
  const bound = (frame: DataFrame) => Number((frame.fields[1].labels?.le ?? '').replace('+Inf', 'Infinity'));
  const sorted = [...series].sort((one, other) => bound(one) - bound(other));
  return sorted.map((frame, n) => {
    const below = new Map(n ? sorted[n - 1].fields[0].values.map((at, i) => [at, sorted[n - 1].fields[1].values[i]]) : []);
    const own = frame.fields[1].values.map((value, i) => Math.max(0, value - (below.get(frame.fields[0].values[i]) ?? 0)));
    return { ...frame, fields: [frame.fields[0], { ...frame.fields[1], values: own }] };
  });
}
