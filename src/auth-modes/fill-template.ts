/** The catalogue's templates filled in with a connection's values; what is missing or does not fit is named, never shown. */
import { TokenFailure } from '../credentials/token-failure.ts';
import { TemplateError, type TemplateValues, type UrlTemplate } from '../providers/url-template.ts';
import { interpolate, type ExpressionValues } from '../providers/value-template.ts';
import { ConnectFailure } from './auth-mode.ts';

/** @throws ConnectFailure `url_param_err` naming the parameter */
export function buildUrl(template: UrlTemplate, { connectionConfig, credentials }: TemplateValues): URL {
    try {
        return template.build({ connectionConfig, ...(credentials === undefined ? {} : { credentials }) });
    } catch (error) {
        throw error instanceof TemplateError ? parameterFailure(error) : error;
    }
}

/** `url_param_err`, naming the parameter. */
export function parameterFailure({ code, field }: TemplateError): ConnectFailure {
    return new ConnectFailure('url_param_err', `The connection parameter "${field}" ${code === 'missing_value' ? 'is missing' : 'is not valid'}.`);
}

/** Texts with their placeholders filled in. @throws ConnectFailure naming the parameter whose value is missing. */
export function fillParams(params: Readonly<Record<string, unknown>>, values: ExpressionValues): Record<string, string> {
    const filled: Record<string, string> = {};
    for (const [name, template] of Object.entries(params)) {
        const value = interpolate(String(template), values);
        if (value === undefined) {
            throw new ConnectFailure('url_param_err', `A value for the parameter "${name}" is missing.`);
        }
        filled[name] = value;
    }
    return filled;
}

/** A configuration that no longer yields a token request is a failed renewal like any other, not an error of the server. */
export function asTokenFailure<T>(build: () => T, type?: string): T {
    try {
        return build();
    } catch (error) {
        if (error instanceof ConnectFailure) {
            throw new TokenFailure('unknown', error.message, { ...(type === undefined ? {} : { type }), isUnasked: true });
        }
        throw error;
    }
}
