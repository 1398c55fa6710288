/**
 * Makes the calls that a provider's exception asks for, under the rules of every token call: checked destinations, no
 * redirects, one deadline for the whole exchange, secrets out of errors. What they mean is said in `providers/exceptions/`.
 */
import type { Credentials, OAuth2Credentials, Obtained } from '../credentials/credential.ts';
import { shortestCallMs } from '../credentials/present-grant.ts';
import type { RenewalStrategy, TokenReceipt } from '../credentials/renewal-strategy.ts';
import { TokenFailure } from '../credentials/token-failure.ts';
import { tokenExceptions } from '../providers/exceptions/index.ts';
import type {
    Called,
    CodeExchange,
    ExceptionCall,
    ExceptionContext,
    Further,
    ReadingContext,
    Renewal,
    TokenException,
} from '../providers/exceptions/token-exception.ts';
import type { Provider } from '../providers/provider.ts';
import type { EgressRequest } from '../egress/egress.ts';
import type { ModeContext } from './auth-mode.ts';
import { confirmByIntrospection, requestIntrospection, type IntrospectedToken } from './introspection.ts';
import { basicPair, callTokenEndpoint, obtainedFrom, parseBody, readAnswer, secretParams, shapesOf, withQuery } from './token-endpoint.ts';

export const exceptionOf = ({ entry }: Provider): TokenException | undefined => tokenExceptions.get(entry.token_exchange_script ?? '');

/** The token is there already; its lifetime can be learned later too. */
const introspectionMs = 5_000;

/** R14, for a mode's renewal strategy: nothing, unless the provider's exception introspects. @param tokenOf what to ask about, and as whom */
export function confirmation(context: ModeContext, tokenOf: (credentials: Credentials) => IntrospectedToken): Pick<RenewalStrategy, 'confirm'> {
    const introspection = exceptionOf(context.provider)?.introspection;
    return introspection === undefined
        ? {}
        : { confirm: (credentials, deadlineMs) => confirmByIntrospection(context, introspection, tokenOf(credentials), deadlineMs) };
}

/** What the auth mode knows of a call, beside the connection. */
export interface Surroundings {
    tokenUrl: URL;
    refreshUrl: URL;
    extraParams?: Readonly<Record<string, string>>;
    /** The call as the entry's keys have it. */
    usual(deadlineMs: number): Promise<TokenReceipt>;
    /** For all calls together. */
    deadlineMs: number;
    /** What must not appear in errors beside what is sent. */
    secrets: readonly string[];
}

export const exchangeByException = (
    exchange: NonNullable<TokenException['exchange']>,
    context: ModeContext,
    surroundings: Surroundings,
    grant: Pick<CodeExchange, 'code' | 'redirectUri' | 'pkceVerifier' | 'state'>,
): Promise<TokenReceipt> => exchange({ ...exceptionContext(context, surroundings), ...grant }).then(asReceipt);

export const refreshByException = (
    refresh: NonNullable<TokenException['refresh']>,
    context: ModeContext,
    surroundings: Surroundings,
    grant: Pick<Renewal, 'accessToken' | 'refreshToken' | 'raw'>,
): Promise<TokenReceipt> => refresh({ ...exceptionContext(context, surroundings), ...grant }).then(asReceipt);

/** Everything that came, in one piece, so that it is journalled before anybody reads it (R2). */
const asReceipt = ({ receipt, further }: Called): TokenReceipt => ({ ...receipt, ...(further === undefined ? {} : { further }) });

function exceptionContext(context: ModeContext, surroundings: Surroundings): ExceptionContext {
    const { egress, sources, integration, connectionConfig, provider } = context;
    const exception = exceptionOf(provider);
    const [clientId, clientSecret] = [integration.clientId ?? '', integration.clientSecret ?? ''];
    const endsAt = sources.now() + surroundings.deadlineMs;
    const timeLeft = (): number => {
        const left = endsAt - sources.now();
        if (left < shortestCallMs) {
            throw new TokenFailure('transient', 'The provider answered too slowly for the next call of the exchange.', { isUnasked: true });
        }
        return left;
    };
    const own = [...[clientSecret, ...surroundings.secrets].flatMap(shapesOf), basicPair(clientId, clientSecret), basicPair(clientSecret, '')];
    const call = async (wanted: ExceptionCall): Promise<Called> => {
        const receipt = await callTokenEndpoint(egress, {
            request: httpRequest(wanted, timeLeft()),
            secrets: [...own, ...secretsOf(wanted).flatMap(shapesOf)],
            refusal: exception?.refusal,
        });
        return called(receipt);
    };
    return {
        clientId,
        clientSecret,
        scopes: (integration.scopes ?? '').split(',').filter((scope) => scope !== ''),
        connectionConfig,
        tokenUrl: surroundings.tokenUrl,
        refreshUrl: surroundings.refreshUrl,
        extraParams: surroundings.extraParams ?? {},
        sources,
        usual: async () => called(await surroundings.usual(timeLeft())),
        call,
        attempt: (wanted) => settled(() => call(wanted)),
        introspect: async (accessToken, answer) => {
            const client = { id: clientId, secret: clientSecret };
            const request = requestIntrospection(context, exception?.introspection, { accessToken, client, raw: answer });
            return request && settled(async () => called(await callTokenEndpoint(egress, request(Math.min(introspectionMs, timeLeft())))));
        },
    };
}

const called = (receipt: TokenReceipt): Called => ({ answer: parseBody(receipt.contentType, receipt.body) ?? {}, receipt });

async function settled(call: () => Promise<Called>): Promise<Further> {
    try {
        const { answer, receipt } = await call();
        return { answer, requestedAt: receipt.requestedAt };
    } catch (error) {
        if (error instanceof TokenFailure) {
            return { failure: { kind: error.kind, description: error.message } };
        }
        throw error;
    }
}

function httpRequest({ method = 'POST', url, query, headers, form, json, text }: ExceptionCall, deadlineMs: number): EgressRequest {
    const content =
        form !== undefined
            ? { type: 'application/x-www-form-urlencoded', body: new URLSearchParams(form).toString() }
            : json !== undefined
              ? { type: 'application/json', body: JSON.stringify(json) }
              : undefined;
    const body = content?.body ?? text;
    return {
        url: query === undefined ? url : withQuery(url, new URLSearchParams(query).toString()),
        method,
        headers: { accept: 'application/json', ...(content && { 'content-type': content.type }), ...headers },
        ...(body === undefined ? {} : { body }),
        deadlineMs,
    };
}

/** Headers that say nothing but what kind of request it is. */
const publicHeaders: ReadonlySet<string> = new Set(['content-type', 'accept', 'x-api-version', 'WM_SVC.name']);

const secretsOf = ({ query = {}, headers = {}, form = {}, json = {} }: ExceptionCall): string[] => [
    ...secretParams({ ...query, ...form }),
    ...secretParams(textsIn(json)),
    ...Object.entries(headers).flatMap(([name, value]) => (publicHeaders.has(name) ? [] : [value])),
];

const textsIn = (json: Readonly<Record<string, unknown>>): Record<string, string> =>
    Object.fromEntries(
        Object.entries(json).flatMap(([name, value]) =>
            typeof value === 'string'
                ? [[name, value]]
                : typeof value === 'object' && value !== null
                  ? Object.entries(textsIn(value as Record<string, unknown>))
                  : [],
        ),
    );

/** Pure. @throws TokenFailure when the answers hold no access token */
export function readByException(
    read: NonNullable<TokenException['read']>,
    receipt: TokenReceipt,
    context: ReadingContext,
): Obtained & { credentials: OAuth2Credentials; raw: Record<string, unknown>; config: Readonly<Record<string, unknown>> } {
    const main = readAnswer(receipt);
    const { requestedAt, receivedAt } = receipt;
    const further = (receipt.further ?? {}) as Readonly<Record<string, Further>>;
    const reading = read({ main, further, requestedAt, receivedAt }, context);
    const { notes, ...obtained } = obtainedFrom(receipt, reading, reading.raw);
    const allNotes = [...(notes ?? []), ...(reading.notes ?? [])];
    return {
        ...obtained,
        raw: reading.raw,
        config: reading.config ?? {},
        ...(reading.renewBy === undefined ? {} : { renewBy: reading.renewBy }),
        ...(allNotes.length === 0 ? {} : { notes: allNotes }),
    };
}
