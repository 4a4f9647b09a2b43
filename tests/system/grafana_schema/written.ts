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
