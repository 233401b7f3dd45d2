// Frames and a panel's field settings in, frames out whose fields know their unit, colour, name and thresholds.
import { FieldConfigOptionsRegistry, FieldType, applyFieldOverrides, cacheFieldDisplayNames, identityOverrideProcessor } from '@grafana/data';
import type { DataFrame, Field, FieldConfigPropertyItem, FieldConfigSource, GrafanaTheme2 } from '@grafana/data';
import { cloneDeep } from 'lodash';
import type { Panel } from './model';

const NUMERIC = new Set(['unit', 'min', 'max', 'decimals', 'thresholds']);
const STANDARD = [...NUMERIC, 'color', 'mappings', 'links', 'displayName', 'noValue'];

export function withSettings(panel: Panel, data: DataFrame[], theme: GrafanaTheme2): DataFrame[] {
  const fieldConfig = settings(panel);
  const found = applyFieldOverrides({
    data, theme, fieldConfig, fieldConfigRegistry: registry(fieldConfig), replaceVariables: (text) => text, timeZone: 'utc',
  });
  cacheFieldDisplayNames(found);
  return found;
}

// JSON has no minus infinity: the first step of thresholds is written without a value.
function settings(panel: Panel): FieldConfigSource {
  const found = cloneDeep(panel.fieldConfig);
  const all = [found.defaults.thresholds, ...found.overrides.flatMap((one) => one.properties)
    .filter((one) => one.id === 'thresholds').map((one) => one.value)];
  for (const thresholds of all) {
    if (thresholds?.steps[0]?.value === null) {
      thresholds.steps[0].value = -Infinity;
    }
  }
  return found;
}

function registry(config: FieldConfigSource): FieldConfigOptionsRegistry {
  const overridden = config.overrides.flatMap((one) => one.properties.map(({ id }) => id)).filter((id) => id.startsWith('custom.'));
  const custom = new Set([...Object.keys(config.defaults.custom ?? {}), ...overridden.map((id) => id.slice('custom.'.length))]);
  const found = new FieldConfigOptionsRegistry();
  for (const path of STANDARD) {
    found.register(item(path, path, false, (field) => !NUMERIC.has(path) || field.type === FieldType.number));
  }
  for (const path of custom) {
    found.register(item(`custom.${path}`, path, true, (field) => field.type !== FieldType.time));
  }
  return found;
}

function item(id: string, path: string, isCustom: boolean, shouldApply: (field: Field) => boolean): FieldConfigPropertyItem {
  return { id, path, isCustom, shouldApply, name: id, process: identityOverrideProcessor, override: () => null, editor: () => null };
}
