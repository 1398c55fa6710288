/** What a provider's hook works with: its connection's credentials put into calls, and no other way out (N9). */
import type { Credentials } from '../credentials/credential.ts';
import { EgressError } from '../egress/egress.ts';
import { ApiRequestError, type ApiCall } from '../providers/api-request.ts';
import { HookFailure, type HookAnswer, type HookCall, type HookContext } from '../providers/hooks/hook.ts';
import { TemplateError } from '../providers/url-template.ts';
import { ConnectFailure, type ModeContext } from './auth-mode.ts';
import { authenticatedRequest, requestValues } from './authenticated-request.ts';
import { parameterFailure } from './fill-template.ts';

const callMs = 15_000;
const answerBytes = 1024 * 1024;

/** @param limits `deadlineMs`: of all its calls together, from now */
export function hookContext(context: ModeContext, credentials: Credentials, limits: { deadlineMs?: number } = {}): HookContext {
    const { provider, connectionConfig, sources, egress } = context;
    const endsAt = limits.deadlineMs === undefined ? Infinity : sources.now() + limits.deadlineMs;
    const { clientId, clientSecret } = requestValues(context, credentials);
    return {
        provider,
        credentials,
        connectionConfig,
        clientId: clientId ?? null,
        clientSecret: clientSecret ?? null,
        sources,
        call: async (call) => {
            const { body, ...request } = await prepared(context, credentials, call);
            const left = endsAt - sources.now();
            if (left <= 0) {
                throw new EgressError('deadline_exceeded', request.url.hostname, { neverSent: true });
            }
            const answer = await egress.request({
                ...request,
                ...(body === undefined ? {} : { body }),
                deadlineMs: Math.min(callMs, left),
                maxResponseBytes: answerBytes,
                maxRedirects: 0,
            });
            return { status: answer.status, headers: answer.headers, body: parsed(answer.body.toString('utf8')) } satisfies HookAnswer;
        },
    };
}

/** @throws HookFailure when the call cannot be made as it is */
async function prepared(context: ModeContext, credentials: Credentials, { method = 'GET', endpoint, baseUrl, headers = {}, ...content }: HookCall) {
    const { body, type } = bodyOf(content);
    const call: ApiCall = {
        method,
        endpoint,
        headers: { ...(type === undefined ? {} : { 'content-type': type }), ...headers },
        ...(body === undefined ? {} : { body }),
        ...(baseUrl === undefined ? {} : { baseUrlOverride: new URL(baseUrl) }),
    };
    try {
        return await authenticatedRequest(context, credentials, call);
    } catch (error) {
        if (error instanceof TemplateError) {
            throw new HookFailure(parameterFailure(error).message);
        }
        throw error instanceof ApiRequestError || error instanceof ConnectFailure ? new HookFailure(error.message) : error;
    }
}

function bodyOf({ json, form, text }: Pick<HookCall, 'json' | 'form' | 'text'>): { body?: string; type?: string } {
    if (json !== undefined) return { body: JSON.stringify(json), type: 'application/json' };
    if (form !== undefined) return { body: new URLSearchParams(form).toString(), type: 'application/x-www-form-urlencoded' };
    return text === undefined ? {} : { body: text };
}

function parsed(text: string): unknown {
    try {
        return JSON.parse(text) as unknown;
    } catch {
        return text;
    }
}

/**
 * Why a hook did not succeed, for people: messages of hooks and of the outbound layer name no value. `undefined`: an error of
 * Valetkey's own, which belongs in the log and nowhere else (E5).
 */
export const hookFailureText = (error: unknown): string | undefined =>
    error instanceof HookFailure || error instanceof EgressError ? error.message : undefined;
