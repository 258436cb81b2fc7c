"use strict";
/* Reads what viewer_data.py wrote: gzip of arrays whose rows are differences, split in byte planes. */

const ARRAY_TYPES = { int16: Int16Array, uint8: Uint8Array, uint32: Uint32Array };

/** The arrays of the page by name: `{values, scales, rows, columns}`. */
async function unpackArrays(base64, headers) {
  const packed = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const arrays = {};
  let start = 0;
  for (const header of headers) {
    const values = undoDifferences(bytes, start, header);
    start += values.byteLength;
    arrays[header.name] = { ...header, values };
  }
  return arrays;
}

function undoDifferences(bytes, start, { type, rows, columns }) {
  const values = new ARRAY_TYPES[type](rows * columns);
  const width = values.BYTES_PER_ELEMENT;
  for (let row = 0; row < rows; row++) {
    let sum = 0;
    for (let i = row * columns; i < (row + 1) * columns; i++) {
      let difference = 0;
      for (let plane = 0; plane < width; plane++) {
        difference |= bytes[start + plane * values.length + i] << (8 * plane);
      }
      sum = (sum + difference) | 0;
      values[i] = sum; // wraps around, as the differences did
    }
  }
  return values;
}
