/**
 * The Connect UI's document and its assets (frontend contract §2.1). The document is the same for everybody but for language and
 * theme: whose session it is for, its script learns in the browser.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../../config.ts';
import { version } from '../../version.ts';
import { sendCacheable } from '../cacheable.ts';
import { ApiError } from '../errors.ts';
import type { PageBuild } from './build.ts';
import { firstWordsIn, pageLanguage } from './first-words.ts';

export const notBuiltMessage = 'The Connect UI has not been built on this server; "npm run prepare" does it.';

export class ConnectUiPage {
    readonly #build: PageBuild | undefined;
    readonly #headers: Readonly<Record<string, string>>;
    readonly #dataConfig: string;

    constructor(config: Pick<Config, 'publicUrl' | 'connectUi'>, build: PageBuild | undefined) {
        this.#build = build;
        this.#headers = documentHeaders(config);
        this.#dataConfig = escapeAttribute(JSON.stringify({ apiUrl: config.publicUrl, version }));
    }

    get isBuilt(): boolean {
        return this.#build !== undefined;
    }

    /** @param prefix from the address of the document to its assets, since a proxy may have put it anywhere @throws ApiError 503 */
    sendDocument(request: FastifyRequest, reply: FastifyReply, prefix: string): FastifyReply {
        if (this.#build === undefined) {
            throw ApiError.simple(503, 'connect_ui_not_built', notBuiltMessage);
        }
        const { lang, theme } = request.query as Record<string, unknown>;
        const language = pageLanguage(lang, request.headers['accept-language']);
        const { title, loading, noScript } = firstWordsIn(language);
        const { script, styles, preloads } = this.#build;
        const lines = [
            '<!doctype html>',
            `<html lang="${language}"${theme === 'dark' || theme === 'light' ? ` class="${theme}"` : ''}>`,
            '<head>',
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="robots" content="noindex">',
            `<title>${title}</title>`,
            ...styles.map((file) => `<link rel="stylesheet" href="${prefix}${file}">`),
            ...preloads.map((file) => `<link rel="modulepreload" href="${prefix}${file}">`),
            // Theme and backdrop are settled before the first paint (§7.33): the skeleton would be painted straight onto the host's page.
            `<script type="module" src="${prefix}${script}" blocking="render"></script>`,
            '</head>',
            '<body>',
            `<div id="root" data-config="${this.#dataConfig}"><div class="skeleton" role="status"><span class="skeleton-label">${loading}</span><i></i><i></i><i></i></div></div>`,
            `<noscript><p class="no-script">${noScript}</p></noscript>`,
            '</body>',
            '</html>',
            '',
        ];
        // It is there to be framed; what decides is frame-ancestors.
        return reply.removeHeader('x-frame-options').headers(this.#headers).send(lines.join('\n'));
    }

    /** @throws ApiError 404 */
    sendAsset(request: FastifyRequest, reply: FastifyReply, name: string): FastifyReply {
        const asset = this.#build?.assets.get(name);
        if (asset === undefined) {
            throw ApiError.simple(404, 'not_found', 'There is no such file.');
        }
        return sendCacheable(request, reply.header('cross-origin-resource-policy', 'cross-origin'), asset, immutable);
    }
}

/** Names carry a hash of the content. */
const immutable = 'public, max-age=31536000, immutable';

/** No COOP, which would cut popups off from it, and no sandbox, which would take its origin (frontend contract §2.1). */
function documentHeaders({ publicUrl, connectUi }: Pick<Config, 'publicUrl' | 'connectUi'>): Record<string, string> {
    const { origin } = new URL(publicUrl);
    const policy = [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        `img-src 'self' ${origin} data:`,
        `connect-src 'self' ${origin} ${origin.replace(/^http/, 'ws')}`,
        "base-uri 'none'",
        "form-action 'none'",
        `frame-ancestors ${connectUi.frameAncestors.join(' ')}`,
    ];
    return {
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': policy.join('; '),
        // Its address may carry a session token.
        'cache-control': 'no-store',
        'referrer-policy': 'strict-origin',
        'x-robots-tag': 'noindex',
        'cross-origin-resource-policy': 'cross-origin',
    };
}

const escapeAttribute = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');
