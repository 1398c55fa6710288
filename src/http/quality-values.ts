/** What a caller accepts, and how gladly (RFC 9110 §12.4.2). */

/** `gzip;q=0.5, br`: names in lower case, in the caller's order. Without a weight it is 1; a weight that is none counts as 0. */
export const qualityValues = (header: string | undefined): [name: string, weight: number][] => (header ?? '').split(',').map(weighted);

function weighted(entry: string): [string, number] {
    const [name = '', ...parameters] = entry.split(';').map((part) => part.trim().toLowerCase());
    const parameter = parameters.find((text) => text.startsWith('q='));
    const weight = parameter === undefined ? 1 : Number(parameter.slice(2));
    return [name, weight >= 0 && weight <= 1 ? weight : 0];
}
