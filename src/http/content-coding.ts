/** Compression of answers, as the caller accepts it (RFC 9110 §8.4, §12.5.3). */
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { qualityValues } from './quality-values.ts';

/** The best first. Quality 5 of 11: within a tenth of the size of the best, in a fiftieth of its time. */
const compressors = {
    br: (text: string): Buffer => brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } }),
    gzip: (text: string): Buffer => gzipSync(text),
} as const;

export type ContentCoding = keyof typeof compressors;

const codings = Object.keys(compressors) as ContentCoding[];

export const compress = (text: string, coding: ContentCoding): Buffer => compressors[coding](text);

/** What the caller likes best of what there is here. @returns `undefined`: nothing, it gets the text as it is. */
export function acceptedCoding(header: string | undefined): ContentCoding | undefined {
    const weights = new Map(qualityValues(header));
    const weightOf = (coding: ContentCoding): number => weights.get(coding) ?? weights.get('*') ?? 0;
    const [best] = codings.toSorted((a, b) => weightOf(b) - weightOf(a));
    const weight = best === undefined ? 0 : weightOf(best);
    return weight > 0 && weight >= (weights.get('identity') ?? 0) ? best : undefined;
}
