/** Where login calls go. A step's URL may begin with what an earlier answer said, held to the rules of every other origin (N1, E11). */
import { valueAt } from '../../credentials/json-path.ts';
import { ExpressionError } from '../../providers/expression.ts';
import { compileField, type FieldRule } from '../../providers/field-rule.ts';
import { compileUrlTemplate, TemplateError, UrlTemplateError, type UrlTemplate } from '../../providers/url-template.ts';
import type { ExpressionValues } from '../../providers/value-template.ts';
import type { ModeContext } from '../auth-mode.ts';
import { asTokenFailure, buildUrl } from '../fill-template.ts';
import { assertSecretMayGoTo } from '../secret-destination.ts';
import { failureType, loginFailed, LoginRefused } from './login-failure.ts';

export interface UrlValues extends ExpressionValues {
    readonly connectionConfig: Readonly<Record<string, unknown>>;
    readonly credentials: Readonly<Record<string, unknown>>;
}

/** @param sendsPresets whether secrets of the integration travel along @throws TokenFailure */
export function loginUrl(template: UrlTemplate, values: UrlValues, context: ModeContext, sendsPresets: boolean): URL {
    return asTokenFailure(() => {
        const url = buildUrl(template, values);
        // N2 protects the integration's secrets. The user's own came with their host; a list is kept to all the same.
        const isProduction = sendsPresets && context.integration.isProduction;
        assertSecretMayGoTo(url, template, { ...context, integration: { ...context.integration, isProduction } });
        return url;
    }, failureType);
}

const stepReference = /\$\{(step[1-9])\.([A-Za-z_][A-Za-z0-9_.-]*)\}/g;

/** An answer may name any host and port: the egress policy says which of them can be reached. */
const stepRule: FieldRule = { ...compileField('step', { type: 'string' }, true), declaresDots: () => true, declaresPort: () => true };

/** @throws TokenFailure */
export function stepUrl(
    source: string,
    values: UrlValues & { readonly steps: readonly unknown[] },
    context: ModeContext,
    sendsPresets: boolean,
): URL {
    const { provider, egress } = context;
    const names = [...source.matchAll(stepReference)].map(([, step = '', path = '']) => ({ name: `${step}.${path}`, step, path }));
    // URL templates know configuration and credentials only, so answers stand in as configuration of that name.
    const answers = Object.fromEntries(names.map(({ name, step, path }) => [name, valueAt(values.steps[Number(step.slice(4)) - 1], path)]));
    const connectionConfig = new Map([...provider.configRules, ...names.map(({ name }) => [name, stepRule] as const)]);
    const rules = { connectionConfig, credentials: provider.credentialRules, isPlainHttpAllowed: egress.isOpened };
    const filled = { ...values, connectionConfig: { ...values.connectionConfig, ...answers } };
    let template: UrlTemplate;
    try {
        template = compileUrlTemplate(source.replaceAll(stepReference, '${connectionConfig.$1.$2}'), rules);
        template.build(filled);
    } catch (error) {
        throw explained(error, new Set(Object.keys(answers)), provider.displayName);
    }
    return loginUrl(template, filled, context, sendsPresets);
}

function explained(error: unknown, answers: ReadonlySet<string>, displayName: string): unknown {
    if (error instanceof UrlTemplateError || error instanceof ExpressionError) {
        // The linter leaves URLs that begin with an answer to the moment when there is one.
        return loginFailed('unknown', `The catalogue's entry of ${displayName} has a step whose token_url is not a URL: ${error.message}.`);
    }
    if (!(error instanceof TemplateError)) return error;
    if (!answers.has(error.field)) return loginFailed('unknown', `The connection parameter "${error.field}" is missing or not valid.`);
    return error.code === 'missing_value'
        ? new LoginRefused('unknown', `${displayName} answered without "${error.field}", which the next call needs; the credentials may be wrong.`)
        : loginFailed('unknown', `${displayName} answered with an address in "${error.field}" that may not be called: it must be https.`);
}
