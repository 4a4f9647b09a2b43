// A type of Grafana's as JSON writes it: the values of enums in the place of enums, and nothing
// required, for Grafana fills in what is left out. A property that the type lacks is an error.
export type Written<T> = 0 extends 1 & T
  ? T
  : unknown extends T
    ? T
    : T extends string
      ? `${T}`
      : T extends readonly (infer Item)[]
        ? Written<Item>[]
        : T extends object
          ? { [Key in keyof T]?: Written<T[Key]> }
          : T;

// What Grafana reads, or writes itself when it saves, although its published types lack it.

// Grafana 10.4 reads the query of an annotation here, later ones in its target.
export interface PrometheusAnnotation {
  expr?: string;
  tagKeys?: string;
  textFormat?: string;
  titleFormat?: string;
}

// The list of variables shows it.
export interface SavedVariable {
  definition?: string;
}

// A state timeline connects and disconnects values as a time series does.
export interface Gaps {
  insertNulls?: boolean | number;
  spanNulls?: boolean | number;
}
