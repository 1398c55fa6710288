/**
 * A login: what is signed beforehand, the first call, the further ones, and the refresh that takes their place while its token is
 * good. Its receipt is all that `read-login.ts` needs, and is journalled before it is read (R2).
 */
import { primaryRefreshField, type TwoStepCredentials } from '../../credentials/credential.ts';
import type { TokenReceipt } from '../../credentials/renewal-strategy.ts';
import { TokenFailure } from '../../credentials/token-failure.ts';
import type { EgressResponse } from '../../egress/egress.ts';
import { estimateSkew } from '../../egress/server-clock.ts';
import { presetCredentials } from '../../providers/integration-config.ts';
import { mayBeEmpty } from '../../providers/fields.ts';
import { newRandomId } from '../../sources.ts';
import type { ModeContext } from '../auth-mode.ts';
import { hostOf } from '../token-endpoint.ts';
import { assertionFor, selfSignedToken } from './assertion.ts';
import { readLoginAnswer, textsIn, type FurtherAnswers, type LoginAnswer } from './login-answer.ts';
import { callLogin, type CallShape } from './login-call.ts';
import { LoginRefused } from './login-failure.ts';
import { loginUrl, stepUrl, type UrlValues } from './login-url.ts';
import { assertToken } from './read-login.ts';

/** @param refreshToken the generation to present, where the entry renews by one @throws LoginRefused, TokenFailure */
export async function logIn(
    context: ModeContext,
    stored: TwoStepCredentials,
    refreshToken: string | undefined,
    deadlineMs: number,
): Promise<TokenReceipt> {
    const login = new Login(context, stored, refreshToken, deadlineMs);
    const { entry } = context.provider;
    const renewsByToken = entry.refresh_token_params !== undefined || entry.refresh_token_headers !== undefined;
    if (!renewsByToken || stored.refresh_token === undefined || refreshToken === undefined) return login.anew(false);
    try {
        return await login.refresh();
    } catch (error) {
        // R17: a refused refresh token is not the end while there is what was typed in. An outage says nothing about it.
        if (!(error instanceof LoginRefused)) throw error;
        return login.anew(true);
    }
}

/** Where the first call of a login goes; `undefined`: its configuration does not say. */
export const loginHost = (context: ModeContext, stored: TwoStepCredentials): string | undefined =>
    hostOf(() => new Login(context, stored, undefined, 0).url());

class Login {
    readonly #context: ModeContext;
    readonly #values: UrlValues;
    readonly #sendsPresets: boolean;
    readonly #endsAt: number;
    readonly #secrets: string[];

    constructor(context: ModeContext, stored: TwoStepCredentials, refreshToken: string | undefined, deadlineMs: number) {
        const { provider, integration, connectionConfig, sources } = context;
        const presets = presetCredentials(provider, integration.extras.config ?? {});
        const { assertionOption, ...own } = stored;
        const primary = stored.refresh_token === undefined ? primaryRefreshField(stored) : undefined;
        const credentials = {
            ...withoutEmptyOptions(own, context),
            ...(primary === undefined || refreshToken === undefined ? {} : { [primary]: refreshToken }),
            ...presets,
        };
        this.#context = context;
        this.#sendsPresets = Object.keys(presets).length > 0;
        this.#endsAt = sources.now() + deadlineMs;
        this.#values = {
            connectionConfig,
            credentials,
            assertionOption: assertionOption ?? {},
            ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }),
        };
        const { type: _type, ...secret } = stored;
        this.#secrets = textsIn([secret, presets, refreshToken]);
    }

    url(): URL {
        return loginUrl(this.#template(), this.#values, this.#context, this.#sendsPresets);
    }

    async refresh(): Promise<TokenReceipt> {
        const { provider } = this.#context;
        const { entry } = provider;
        const response = await this.#call(
            'the refresh',
            loginUrl(this.#template(provider.refreshUrl), this.#values, this.#context, this.#sendsPresets),
            {
                ...this.#shape(),
                headers: entry.refresh_token_headers ?? entry.token_headers,
                params: entry.refresh_token_params,
            },
        );
        return this.#receipt(response, [], false);
    }

    async anew(isRefreshTokenRefused: boolean): Promise<TokenReceipt> {
        const { provider } = this.#context;
        const { entry } = provider;
        const once = this.#moment();
        const assertion = await assertionFor(this.#context, once);
        const token = await selfSignedToken(this.#context, once);
        this.#secrets.push(...textsIn([assertion, token]));
        const values: UrlValues = {
            ...this.#values,
            credentials: { ...this.#values.credentials, ...(assertion === undefined ? {} : { assertion }) },
            ...(token === undefined ? {} : { token }),
        };
        const first = loginUrl(this.#template(), values, this.#context, this.#sendsPresets);
        let response = await this.#call('the login', first, { ...this.#shape(), headers: entry.token_headers, params: entry.token_params }, values);
        const earlier: LoginAnswer[] = [];
        const steps: unknown[] = [];
        for (const [index, step] of (entry.additional_steps ?? []).entries()) {
            const answer = answerOf(response);
            earlier.push(answer);
            steps.push(readLoginAnswer(answer));
            const stepValues = { ...values, steps };
            const url = stepUrl(step.token_url, stepValues, this.#context, this.#sendsPresets);
            const shape: CallShape = {
                method: step.token_request_method ?? 'POST',
                bodyFormat: step.body_format ?? this.#shape().bodyFormat,
                headers: step.token_headers,
                params: step.token_params,
            };
            response = await this.#call(`call ${index + 2} of the login`, url, shape, stepValues);
        }
        const receipt = this.#receipt(response, earlier, isRefreshTokenRefused);
        return assertion === undefined ? receipt : { ...receipt, presentedAssertion: assertion };
    }

    #template(own = this.#context.provider.tokenUrl) {
        if (own === undefined) {
            throw new TokenFailure('unknown', `${this.#context.provider.displayName} has no token URL.`, { type: 'missing_token_url' });
        }
        return own;
    }

    #shape(): Pick<CallShape, 'method' | 'bodyFormat'> {
        const { token_request_method, body_format } = this.#context.provider.entry;
        return { method: token_request_method ?? 'POST', bodyFormat: body_format === 'form' || body_format === 'xml' ? body_format : 'json' };
    }

    /** One instant and one random id per request (catalogue contract 5). */
    #moment(values: UrlValues = this.#values): UrlValues {
        return { ...values, random: newRandomId(this.#context.sources), now: this.#context.sources.now() };
    }

    #call(name: string, url: URL, shape: CallShape, values: UrlValues = this.#values): Promise<EgressResponse> {
        const { provider, egress, sources } = this.#context;
        return callLogin(egress, {
            name,
            displayName: provider.displayName,
            url,
            shape,
            values: this.#moment(values),
            deadlineMs: Math.max(1, this.#endsAt - sources.now()),
            secrets: this.#secrets,
        });
    }

    /** @throws LoginRefused when there is no token in it: wrong passwords are answered with 200 too */
    #receipt(response: EgressResponse, earlier: readonly LoginAnswer[], isRefreshTokenRefused: boolean): TokenReceipt {
        const { status, headers, setCookies, requestedAt, receivedAt } = response;
        const { provider } = this.#context;
        assertToken(answerOf(response), status, provider, this.#secrets);
        const kept = (provider.entry.token_response_headers ?? []).map((name) => name.toLowerCase());
        const further: FurtherAnswers = {
            earlier,
            headers: Object.fromEntries(kept.flatMap((name) => (headers[name] === undefined ? [] : [[name, headers[name]]]))),
            setCookies: kept.includes('set-cookie') ? setCookies : [],
            isRefreshTokenRefused,
        };
        return {
            status,
            ...answerOf(response),
            requestedAt,
            receivedAt,
            serverAheadMs: estimateSkew(headers['date'], requestedAt, receivedAt),
            further,
        };
    }
}

const answerOf = ({ headers, body }: EgressResponse): LoginAnswer => ({ contentType: headers['content-type'] ?? '', body: body.toString('utf8') });

/** What a person left empty because it is optional was not given; where the entry has a default, empty is an answer. */
function withoutEmptyOptions(credentials: Readonly<Record<string, unknown>>, { provider }: ModeContext): Record<string, unknown> {
    return Object.fromEntries(
        Object.entries(credentials).filter(([name, value]) => {
            const field = provider.credentialRules.get(name)?.field;
            return value !== '' || field === undefined || !mayBeEmpty(field) || field.default_value !== undefined;
        }),
    );
}
