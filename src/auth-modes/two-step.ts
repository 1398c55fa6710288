/**
 * TWO_STEP: one or more login calls, as the catalogue's entry declares them, with what a person typed in (auth-modes §10). A renewal
 * is the same login again, or the entry's refresh call while there is a refresh token.
 */
import type { TwoStepCredentials } from '../credentials/credential.ts';
import type { RenewalStrategy } from '../credentials/renewal-strategy.ts';
import { TokenFailure } from '../credentials/token-failure.ts';
import { compileField } from '../providers/field-rule.ts';
import { mayBeEmpty, ruleIssue } from '../providers/fields.ts';
import { presetCredentials } from '../providers/integration-config.ts';
import { ConnectFailure, type AuthMode, type DirectInput, type ModeContext } from './auth-mode.ts';
import { LoginRefused } from './two-step/login-failure.ts';
import { logIn, loginHost } from './two-step/login.ts';
import { confirmation, exceptionOf } from './token-exceptions.ts';
import { readLogin, serverCredentials } from './two-step/read-login.ts';

/** N5: all calls of one login together. */
const loginMs = 20_000;

export const twoStep: AuthMode = {
    name: 'TWO_STEP',
    direct: {
        own: ownFields,
        create: async (input) => {
            const submitted = submittedCredentials(input);
            try {
                return readLogin(await logIn(input, submitted, undefined, loginMs), submitted, input.provider);
            } catch (error) {
                throw asConnectFailure(error);
            }
        },
    },
    renewal: (context) => loginAgain(context),
};

function loginAgain(context: ModeContext): RenewalStrategy {
    const { provider } = context;
    return {
        marginSeconds: provider.entry.token_expiration_buffer,
        assumedLifetimeSeconds: exceptionOf(provider)?.assumedLifetimeSeconds,
        maxIdleSeconds: provider.entry.max_idle,
        tokenLimits: provider.entry.token_limits,
        tokenHost: (credentials) => loginHost(context, credentials as TwoStepCredentials),
        canRenew: (credentials) => credentials.type === 'TWO_STEP' && provider.tokenUrl !== undefined,
        present: (credentials, refreshToken, deadlineMs) => logIn(context, credentials as TwoStepCredentials, refreshToken, deadlineMs),
        interpret: (receipt, credentials) => readLogin(receipt, credentials as TwoStepCredentials, provider),
        isSecretConfig: (name) => provider.entry.connection_config?.[name]?.secret === true,
        ...confirmation(context, (credentials) => {
            const { token: accessToken, clientId, clientSecret, raw } = credentials as TwoStepCredentials;
            return { accessToken, client: { id: textOf(clientId), secret: textOf(clientSecret) }, raw: asObject(raw) };
        }),
    };
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
const asObject = (value: unknown): Readonly<Record<string, unknown>> => (typeof value === 'object' && value !== null ? { ...value } : {});

/** Not what the integration sets, nor what the server does: a connection that was exported may be imported as it is. */
function ownFields({ provider, integration }: ModeContext, submitted: Readonly<Record<string, unknown>>): Record<string, unknown> {
    const presets = presetCredentials(provider, integration.extras.config ?? {});
    // With the key at hand, another assertion is made.
    const isAssertionMade = provider.entry.assertion !== undefined && Object.keys(submitted['assertionOption'] ?? {}).length > 0;
    return Object.fromEntries(
        Object.entries(submitted).filter(
            ([name]) =>
                name === 'assertionOption' ||
                !(serverCredentials.has(name) || Object.hasOwn(presets, name) || (isAssertionMade && name === 'assertion')),
        ),
    );
}

/** What is stored of a submission. @throws ConnectFailure */
function submittedCredentials(input: DirectInput): TwoStepCredentials {
    const { provider, integration, submitted } = input;
    const presets = presetCredentials(provider, integration.extras.config ?? {});
    const { assertionOption: _, ...own } = submitted;
    const defaults = [...provider.credentialRules].flatMap(([name, { field }]) =>
        field.default_value === undefined || Object.hasOwn(presets, name) || submitted[name] ? [] : [[name, field.default_value] as const],
    );
    const assertionOption = submittedAssertionOption(input);
    return {
        ...own,
        ...Object.fromEntries(defaults),
        type: 'TWO_STEP',
        token: '',
        raw: null,
        ...(assertionOption === undefined ? {} : { assertionOption }),
    };
}

/** R17: kept, sealed, or the connection would die with its first assertion. @throws ConnectFailure naming fields that cannot be right */
function submittedAssertionOption({ provider, submitted }: DirectInput): TwoStepCredentials['assertionOption'] {
    const fields = Object.entries(provider.entry.assertion_option ?? {});
    const given = submitted['assertionOption'];
    if (fields.length === 0 || typeof given !== 'object' || given === null) return undefined;
    const values: Record<string, string> = {};
    const faults: string[] = [];
    for (const [name, field] of fields) {
        const value: unknown = (given as Record<string, unknown>)[name];
        const text = typeof value === 'string' ? value.trim() : '';
        if (text !== '') {
            values[name] = text;
            faults.push(ruleIssue(name, compileField(name, field, false), text)?.message ?? '');
        } else if (!mayBeEmpty(field)) {
            faults.push(`"${name}" is required.`);
        }
    }
    const messages = faults.filter((fault) => fault !== '');
    if (messages.length > 0) {
        throw new ConnectFailure('connection_test_failed', `These inputs of the assertion cannot be right: ${messages.join(' ')}`);
    }
    return values;
}

/** At the form, a refusal and an outage are told apart by their codes too (http-api §12.2). */
function asConnectFailure(error: unknown): unknown {
    if (error instanceof LoginRefused) return new ConnectFailure('invalid_two_step_credentials', error.message);
    return error instanceof TokenFailure ? new ConnectFailure(error.type, error.message) : error;
}
