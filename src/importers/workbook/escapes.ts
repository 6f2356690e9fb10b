/**
 * Spreadsheets write what XML cannot hold as _xHHHH_ (ST_Xstring, ECMA-376 part 1, 22.9.2.19): _x000D_ is a carriage return,
 * and _x005F_ an underscore, so that _x005F_x000D_ means the eight characters _x000D_.
 */
export function decodeEscapes(text: string): string {
  return text.includes('_x') ? text.replace(/_x([0-9A-Fa-f]{4})_/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))) : text
}
