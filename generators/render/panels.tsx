// One component per kind of panel: Grafana's own, given the data of a panel of the replay.
import {
  applyFieldOverrides,
  cacheFieldDisplayNames,
  createDataFrame,
  createTheme,
  type DataFrame,
  dateTime,
  FieldConfigOptionsRegistry,
  getFieldDisplayValues,
  renderTextPanelMarkdown,
  standardFieldConfigEditorRegistry,
  standardTransformers,
  standardTransformersRegistry,
  transformDataFrame,
} from '@grafana/data';
import { BigValue, TimeSeries } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import { useEffect, useState } from 'react';

export const theme = createTheme({ colors: { mode: 'dark' } });

export interface Panel {
  spec: any;
  frames: any[];
}

export interface Time {
  from: number;
  to: number;
}

const STANDARD = [
  'displayName', 'unit', 'min', 'max', 'decimals', 'thresholds', 'mappings', 'noValue', 'color',
  'links', 'filterable', 'description', 'path', 'fieldMinMax', 'actions',
];

const property = (id: string, isCustom: boolean): any => ({
  id: isCustom ? `custom.${id}` : id,
  path: id,
  name: id,
  isCustom,
  process: (value: unknown) => value,
  shouldApply: () => true,
  override: () => null,
  editor: () => null,
});

// Grafana registers these with editors, which a picture does not have.
standardFieldConfigEditorRegistry.setInit(() => STANDARD.map((id) => property(id, false)));
standardTransformersRegistry.setInit(() =>
  // Some are exported under two names.
  [...new Map(Object.values(standardTransformers).map((one: any) => [one.id, one])).values()].map((one: any) => ({
    id: one.id,
    name: one.name,
    transformation: () => Promise.resolve(one),
    editor: () => null,
  })) as any
);

function registryFor(spec: any): FieldConfigOptionsRegistry {
  const overridden = (spec.fieldConfig?.overrides ?? []).flatMap((rule: any) =>
    rule.properties.map((each: any) => each.id as string)
  );
  const custom = new Set<string>([
    ...Object.keys(spec.fieldConfig?.defaults?.custom ?? {}),
    ...overridden.filter((id: string) => id.startsWith('custom.')).map((id: string) => id.slice(7)),
  ]);
  return new FieldConfigOptionsRegistry(() => [
    ...STANDARD.map((id) => property(id, false)),
    ...[...custom].map((id) => property(id, true)),
  ]);
}

export function useFrames(panel: Panel): DataFrame[] | undefined {
  const [frames, setFrames] = useState<DataFrame[]>();
  useEffect(() => {
    const raw = panel.frames.map((each) => createDataFrame(each));
    transformDataFrame(panel.spec.transformations ?? [], raw).subscribe((transformed) => {
      const shown = applyFieldOverrides({
        data: transformed,
        fieldConfig: panel.spec.fieldConfig ?? { defaults: {}, overrides: [] },
        fieldConfigRegistry: registryFor(panel.spec),
        replaceVariables: (text: string) => text,
        theme,
        timeZone: 'utc',
      });
      cacheFieldDisplayNames(shown);
      setFrames(shown);
    });
  }, [panel]);
  return frames;
}

interface Shown {
  panel: Panel;
  frames: DataFrame[];
  width: number;
  height: number;
  time: Time;
}

function Stat({ panel, frames, width, height }: Shown) {
  const options = panel.spec.options ?? {};
  const values = getFieldDisplayValues({
    fieldConfig: panel.spec.fieldConfig,
    reduceOptions: options.reduceOptions ?? { calcs: ['lastNotNull'], values: false },
    replaceVariables: (text: string) => text,
    theme,
    data: frames,
    sparkline: options.graphMode === 'area',
    timeZone: 'utc',
  });
  const each = width / values.length;
  return (
    <div style={{ display: 'flex' }}>
      {values.map((value, at) => (
        <BigValue
          key={at}
          value={value.display}
          sparkline={value.sparkline}
          width={each}
          height={height}
          theme={theme}
          colorMode={options.colorMode}
          graphMode={options.graphMode}
          justifyMode={options.justifyMode}
          textMode={options.textMode}
        />
      ))}
    </div>
  );
}

function Chart({ panel, frames, width, height, time }: Shown) {
  const range = { from: dateTime(time.from), to: dateTime(time.to) };
  return (
    <TimeSeries
      frames={frames}
      width={width}
      height={height}
      timeRange={{ ...range, raw: range } as any}
      timeZone="utc"
      legend={panel.spec.options?.legend}
      options={panel.spec.options}
    />
  );
}

function Table({ frames, width, height, panel }: Shown) {
  return (
    <TableNG
      data={frames[0]}
      width={width}
      height={height}
      sortBy={panel.spec.options?.sortBy}
      sortByBehavior="initial"
      noHeader={panel.spec.options?.showHeader === false}
    />
  );
}

// Grafana's state timeline is no part of its libraries: bands of our own, in Grafana's colours.
function Timeline({ frames, width, height, time, panel }: Shown) {
  const nameWidth = 190;
  const scale = (width - nameWidth) / (time.to - time.from);
  const rows = frames.flatMap((frame) =>
    frame.fields.slice(1).map((field) => ({ field, times: frame.fields[0].values }))
  );
  const step = (frames[0]?.fields[0].config.interval as number) ?? 5000;
  const rowHeight = (height - 44) / Math.max(rows.length, 1);
  const legend = new Map<string, string>();
  const bands = rows.map(({ field, times }) => {
    const found: Array<{ from: number; to: number; text: string; color: string }> = [];
    field.values.forEach((value: any, at: number) => {
      if (value == null) {
        return; // a gap: nobody judged
      }
      const shown = field.display!(value);
      const last = found[found.length - 1];
      legend.set(shown.text, shown.color!);
      if (last && last.text === shown.text && times[at] - last.to <= step) {
        last.to = times[at] + step;
      } else {
        found.push({ from: times[at], to: times[at] + step, text: shown.text, color: shown.color! });
      }
    });
    return { name: field.config.displayNameFromDS, found };
  });
  return (
    <div style={{ position: 'relative', width, height, fontSize: 12 }}>
      {bands.map(({ name, found }, row) => (
        <div key={row} style={{ position: 'absolute', top: row * rowHeight, height: rowHeight * (panel.spec.options?.rowHeight ?? 0.9) }}>
          <div style={{ width: nameWidth - 10, textAlign: 'right', lineHeight: `${rowHeight * 0.85}px`, overflow: 'hidden', whiteSpace: 'nowrap', textOverflow: 'ellipsis' }}>{name}</div>
          {found.map((band) => {
            const left = nameWidth + Math.max(band.from - time.from, 0) * scale;
            const wide = Math.min((band.to - band.from) * scale, width - left);
            return (
              <div key={band.from} style={{ position: 'absolute', top: 0, left, width: wide, height: '100%', background: band.color, opacity: 0.85, overflow: 'hidden', color: theme.colors.getContrastText(band.color), paddingLeft: wide > 40 ? 4 : 0, lineHeight: `${rowHeight * 0.85}px`, whiteSpace: 'nowrap' }}>
                {wide > 60 ? band.text : ''}
              </div>
            );
          })}
        </div>
      ))}
      <Ticks time={time} left={nameWidth} scale={scale} top={height - 40} />
      <div style={{ position: 'absolute', bottom: 0, left: 8, display: 'flex', gap: 14 }}>
        {[...legend].map(([text, color]) => (
          <span key={text}><span style={{ display: 'inline-block', width: 14, height: 4, background: color, verticalAlign: 'middle', marginRight: 6 }} />{text}</span>
        ))}
      </div>
    </div>
  );
}

function Ticks({ time, left, scale, top }: { time: Time; left: number; scale: number; top: number }) {
  const every = 60_000;
  const first = Math.ceil(time.from / every) * every;
  const ticks = [];
  for (let at = first; at < time.to; at += every) {
    ticks.push(at);
  }
  return (
    <>
      {ticks.map((at) => (
        <span key={at} style={{ position: 'absolute', top, left: left + (at - time.from) * scale - 14, color: theme.colors.text.secondary }}>
          {new Date(at).toISOString().slice(11, 16)}
        </span>
      ))}
    </>
  );
}

function Words({ panel }: Shown) {
  const html = renderTextPanelMarkdown(panel.spec.options?.content ?? '');
  return <div className="markdown-html" style={{ fontSize: 13 }} dangerouslySetInnerHTML={{ __html: html }} />;
}

const KINDS: Record<string, (shown: Shown) => React.ReactElement> = {
  stat: Stat,
  timeseries: Chart,
  table: Table,
  'state-timeline': Timeline,
  text: Words,
};

export function Content(shown: Shown) {
  const Kind = KINDS[shown.panel.spec.type];
  const isEmpty = shown.panel.spec.type !== 'text' && shown.frames.every((frame) => frame.length === 0);
  if (isEmpty) {
    const text = shown.panel.spec.fieldConfig?.defaults?.noValue ?? 'No data';
    return <div style={{ width: shown.width, height: shown.height, display: 'grid', placeItems: 'center', color: theme.colors.text.secondary, textAlign: 'center', padding: 8 }}>{text}</div>;
  }
  return <Kind {...shown} />;
}
