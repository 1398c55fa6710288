/** A popup as the official frontend client runs it, without a browser: the outcome socket first, then the redirects. */
import { once } from 'node:events';
import WebSocket from 'ws';
import { openCallback, type CallbackAnswer } from './user.ts';

export interface Frame {
    message_type: string;
    ws_client_id?: string;
    provider_config_key?: string;
    connection_id?: string;
    is_pending?: boolean;
    error_type?: string;
    error_desc?: string;
}

export interface OutcomeSocket {
    /** What the server greeted it with. */
    id: string;
    /** Everything that was received, the greeting included. */
    frames: Frame[];
    /** The frame after the greeting. Rejects when there is none within two seconds. */
    outcome(): Promise<Frame>;
    close(): void;
}

/** @param origin of the page that would have opened it. */
export async function openSocket(url: string, origin?: string, path = '/'): Promise<OutcomeSocket> {
    const socket = new WebSocket(url.replace(/^http/, 'ws') + path, origin === undefined ? {} : { origin });
    const frames: Frame[] = [];
    socket.on('message', (data: Buffer) => frames.push(JSON.parse(data.toString()) as Frame));
    await once(socket, 'message', { signal: AbortSignal.timeout(5_000) });
    return {
        id: frames[0]?.ws_client_id ?? '',
        frames,
        outcome: async () => {
            if (frames.length < 2) {
                await once(socket, 'message', { signal: AbortSignal.timeout(2_000) });
            }
            return frames[1]!;
        },
        close: () => socket.close(),
    };
}

export interface Popup {
    socket: OutcomeSocket;
    /** Status and headers of the popup's first page. */
    first: Response;
    firstText: string;
    /** Where it was sent. */
    authorizationUrl: string;
    /** What the browser holds for Valetkey. */
    cookie: string;
}

/** Opens a socket and the popup's first page. */
export async function openPopup(url: string, path: string, origin?: string): Promise<Popup> {
    const socket = await openSocket(url, origin);
    const first = await fetch(`${url}${path}${path.includes('?') ? '&' : '?'}ws_client_id=${socket.id}`, { redirect: 'manual' });
    return {
        socket,
        first,
        firstText: await first.text(),
        authorizationUrl: first.headers.get('location') ?? '',
        cookie: first.headers
            .getSetCookie()
            .map((line) => line.split(';')[0])
            .join('; '),
    };
}

/** Consents at a server that approves at once. @returns the callback's address. */
export async function consent(authorizationUrl: string): Promise<string> {
    const answer = await fetch(authorizationUrl, { redirect: 'manual' });
    const location = answer.headers.get('location');
    if (location === null) {
        throw new Error(`the authorization endpoint answered ${answer.status}: ${await answer.text()}`);
    }
    return location;
}

/** Opens the callback and waits for the socket's outcome. */
export async function finishPopup(popup: Popup, callbackUrl: string): Promise<{ page: CallbackAnswer; outcome: Frame }> {
    const page = await openCallback(callbackUrl, popup.cookie);
    return { page, outcome: await popup.socket.outcome() };
}

/** The sentence that a page shows. */
export const sentenceOf = (html: string): string => unescape(/<h1>[^<]*<\/h1>\s*<p>([^<]*)<\/p>/.exec(html)?.[1] ?? '');

const unescape = (text: string): string =>
    text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&amp;', '&');
