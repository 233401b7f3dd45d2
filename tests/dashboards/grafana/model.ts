// What ../pictures.py hands to the page: a dashboard, and what Prometheus answered to each query of its panels.
import type { FieldConfigSource } from '@grafana/data';

export interface Series {
  metric: Record<string, string>;
  value?: [number, string]; // seconds since the epoch
  values?: Array<[number, string]>;
}

export interface Target {
  refId: string;
  format: 'time_series' | 'table' | 'heatmap';
  legendFormat: string;
}

export interface Panel {
  id: number;
  type: string;
  title: string;
  description?: string;
  gridPos: { x: number; y: number; w: number; h: number };
  targets: Target[];
  fieldConfig: FieldConfigSource;
  options: any; // as each kind of panel has them in Grafana's JSON
  transformations?: Array<{ id: string; options: any }>;
  collapsed?: boolean; // of a row
  panels?: Panel[];
}

export interface Span {
  from: number; // milliseconds since the epoch
  to: number;
  step: number; // milliseconds
}

export interface Given {
  title: string;
  span: Span;
  variables: Array<{ label: string; value: string }>;
  panels: Panel[];
  answers: Record<string, Series[]>; // by "panel id, refId"
  events: Array<{ at: number; color: string }>;
}

declare global {
  interface Window {
    given: Given;
  }
}
