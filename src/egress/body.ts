/**
 * Response bodies. Requests ask for `identity`: token responses are small, and not decompressing is the safest way to do it. Some
 * servers compress anyway, so gzip, deflate and br are understood, and the limit counts bytes after decompression.
 */
import { Readable } from 'node:stream';
import { constants, createBrotliDecompress, createUnzip } from 'node:zlib';

export interface DecodedBody {
    /** At most `limit` bytes. */
    body: Buffer;
    /** The body was longer than `limit`. */
    exceeded: boolean;
    /** A content coding was undone. */
    encoded: boolean;
}

/** `cut`: the caller stopped reading, so the compressed stream has no end. Rejects when the stream is not valid. */
export async function decodeBody(raw: Buffer, encoding: string | undefined, options: { limit: number; cut: boolean }): Promise<DecodedBody> {
    const decoder = raw.length === 0 ? undefined : decoderFor(encoding, options.cut);
    if (decoder === undefined) return { body: raw, exceeded: options.cut, encoded: false };

    const chunks: Buffer[] = [];
    let room = options.limit;
    const decoded: AsyncIterable<Buffer> = Readable.from([raw]).pipe(decoder);
    for await (const chunk of decoded) {
        chunks.push(chunk.subarray(0, room));
        if (chunk.length > room) return { body: Buffer.concat(chunks), exceeded: true, encoded: true };
        room -= chunk.length;
    }
    return { body: Buffer.concat(chunks), exceeded: options.cut, encoded: true };
}

/** RFC 9110 §8.4.1; any other coding, and combinations, are handed over as received. */
function decoderFor(encoding: string | undefined, cut: boolean) {
    switch (encoding?.trim().toLowerCase()) {
        case 'gzip':
        case 'x-gzip':
        case 'deflate':
            return createUnzip(cut ? { finishFlush: constants.Z_SYNC_FLUSH } : {});
        case 'br':
            return createBrotliDecompress(cut ? { finishFlush: constants.BROTLI_OPERATION_FLUSH } : {});
        default:
            return undefined;
    }
}
