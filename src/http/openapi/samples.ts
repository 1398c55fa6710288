/** Example values for a schema: its own examples first, then what its name suggests, then anything that it accepts. */
import type { JsonSchema } from './description.ts';

export interface SampleOptions {
    resolve(schema: JsonSchema): JsonSchema;
    /** The member or parameter it is for. */
    name?: string;
    /** What a caller has to send, in place of everything an answer may have. */
    isRequest: boolean;
    depth?: number;
}

const deepest = 8;

/** @returns `undefined` where none is found. */
export function sampleOf(schema: JsonSchema, options: SampleOptions): unknown {
    const { resolve, depth = 0 } = options;
    if (depth > deepest) {
        return undefined;
    }
    const whole = { ...resolve(schema), ...(schema.examples === undefined ? {} : { examples: schema.examples }) };
    if (whole.examples !== undefined && whole.examples.length > 0) {
        return whole.examples[0];
    }
    if (whole.const !== undefined) {
        return whole.const;
    }
    if (whole.default !== undefined && whole.default !== null && !isEmpty(whole.default)) {
        return whole.default;
    }
    if (whole.enum !== undefined) {
        return whole.enum[0];
    }
    const alternatives = whole.anyOf ?? whole.oneOf;
    if (alternatives !== undefined) {
        return sampleOfAny(alternatives, options);
    }
    if (whole.allOf !== undefined) {
        const parts = whole.allOf.map((part) => sampleOf(part, options));
        return Object.assign({}, ...parts.filter((part) => typeof part === 'object')) as unknown;
    }
    switch (Array.isArray(whole.type) ? whole.type.find((type) => type !== 'null') : whole.type) {
        case 'object':
            return sampleObject(whole, options);
        case 'array':
            return sampleArray(whole, options);
        case 'string':
            return sampleText(whole, options.name);
        case 'integer':
        case 'number':
            return sampleNumber(whole, options.name);
        case 'boolean':
            return !/^(is_?pending|isReconnecting|deprecated)$/.test(options.name ?? '');
        case 'null':
            return null;
        default:
            return whole.properties === undefined ? {} : sampleObject(whole, options);
    }
}

const isEmpty = (value: unknown): boolean => value === '' || (typeof value === 'object' && value !== null && Object.keys(value).length === 0);

/** The first that says something: neither null nor `""`. */
function sampleOfAny(alternatives: readonly JsonSchema[], options: SampleOptions): unknown {
    const samples = alternatives.map((alternative) => sampleOf(alternative, options)).filter((sample) => sample !== undefined);
    return samples.find((sample) => sample !== null && sample !== '') ?? samples[0];
}

function sampleObject(schema: JsonSchema, options: SampleOptions): unknown {
    const { properties = {}, required = [], additionalProperties, propertyNames } = schema;
    const names = Object.keys(properties);
    // Of what may be sent, a caller is shown what has to be; of a change, which needs something, the beginning.
    const shown = !options.isRequest ? names : required.length > 0 ? names.filter((name) => required.includes(name)) : names.slice(0, 2);
    const sample: Record<string, unknown> = {};
    for (const name of shown) {
        const value = sampleOf(properties[name]!, { ...options, name, depth: (options.depth ?? 0) + 1 });
        if (value !== undefined) {
            sample[name] = value;
        } else if (required.includes(name)) {
            return undefined;
        }
    }
    const hasOthers = typeof additionalProperties === 'object' && Object.keys(additionalProperties).length > 0;
    if (names.length === 0 && hasOthers) {
        const isByIntegration = propertyNames !== undefined || /^(integrations|overrides)/.test(options.name ?? '');
        const key = isByIntegration ? sampleText(options.resolve(propertyNames ?? { type: 'string' }), 'key') : 'plan';
        const value = sampleOf(additionalProperties, { ...options, name: 'value', depth: (options.depth ?? 0) + 1 });
        return typeof key === 'string' && value !== undefined ? { [key]: value } : {};
    }
    return sample;
}

function sampleArray({ items, minItems = 0, maxItems = Infinity }: JsonSchema, options: SampleOptions): unknown {
    if (maxItems === 0) {
        return [];
    }
    const item = items === undefined ? undefined : sampleOf(items, { ...options, depth: (options.depth ?? 0) + 1 });
    if (item === undefined) {
        return minItems === 0 ? [] : undefined;
    }
    return Array.from({ length: Math.max(1, minItems) }, () => item);
}

function sampleNumber({ minimum, maximum }: JsonSchema, name = ''): number {
    const wanted = numbers[name] ?? 1;
    return Math.min(maximum ?? wanted, Math.max(minimum ?? wanted, wanted));
}

const numbers: Readonly<Record<string, number>> = { id: 12, limit: 50, environment_id: 2, key_id: 7, connection_count: 3 };

const formats: Readonly<Record<string, string>> = {
    'date-time': '2026-01-02T03:04:05.678Z',
    date: '2026-01-02',
    email: 'ada@example.com',
    uri: 'https://example.com/',
    uuid: '5c1f7d2e-8a44-4d7b-9f0e-2b6f3a1c9d55',
    ipv4: '203.0.113.7',
    ipv6: '2001:db8::7',
};

/** By the end of a member's name, in lower case without separators: the longest that fits comes first. */
const byName: readonly (readonly [RegExp, string])[] = [
    [/^(connectsession)?token$/, `nango_connect_session_${'0123456789abcdef'.repeat(4)}`],
    [/connectionid$/, '5c1f7d2e-8a44-4d7b-9f0e-2b6f3a1c9d55'],
    [/(providerconfigkey|uniquekey|integrationid|allowedintegrations)$|^key$/, 'github-prod'],
    [/(logid|operationid)$/, '5c1f7d2e-8a44-4d7b-9f0e-2b6f3a1c9d55'],
    [/uuid$/, '5c1f7d2e-8a44-4d7b-9f0e-2b6f3a1c9d55'],
    [/^provider$/, 'github'],
    [/^id$/, 'user-42'],
    [/email$/, 'ada@example.com'],
    [/displayname$/, 'Ada Lovelace'],
    [/connectlink$/, 'https://connect.example.com/?session_token=nango_connect_session_…'],
    [/(logo|logourl)$/, 'https://auth.example.com/images/template-logos/github.svg'],
    [/callbackurl$/, 'https://auth.example.com/oauth/callback'],
    [/^docs(connect)?$/, 'https://example.com/docs'],
    [/cidrs$/, '203.0.113.0/24'],
    [/ip$/, '203.0.113.7'],
    [/hosts$/, 'api.example.com'],
    [/primary$/, '#1f5eff'],
    [/websocketspath$/, '/'],
    [/webhooksigningkey$|webhookssecret$/, 'whsec_…'],
    [/webhookpublickey$/, 'whpk_…'],
    [/description$/, 'The provider refused the sign-in.'],
    [/(urls?|uri|link|endpoint|location|override)$/, 'https://example.com/valetkey'],
    [/(at|created|updated|timestamp)$/, '2026-01-02T03:04:05.678Z'],
    [/(authmode|type)$/, 'OAUTH2'],
    [/scopes?$/, 'read'],
    [/clientid$/, 'a1b2c3d4'],
    [/(secret|apikey|password|accesstoken|refreshtoken|privatekey)$/, '…'],
    [/username$/, 'ada'],
    [/version$/, '0.1.0'],
    [/name$/, 'GitHub'],
    [/value$/, 'pro'],
];

const anyText = ['text', 'a', 'example.com', 'abc123', '1', '2026-01-02T03:04:05.678Z', 'https://example.com/', 'example'];

function sampleText(schema: JsonSchema, name = ''): string | undefined {
    const folded = name.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
    const named = byName.filter(([pattern]) => pattern.test(folded)).map(([, text]) => text);
    const candidates =
        schema.format === undefined ? [...named, ...anyText] : [...named.filter((text) => hasFormat(text, schema.format!)), formats[schema.format]];
    return candidates.find((text) => text !== undefined && fits(text, schema));
}

function hasFormat(text: string, format: string): boolean {
    switch (format) {
        case 'uri':
            return URL.canParse(text);
        case 'email':
            return text.includes('@');
        case 'date-time':
            return /^\d{4}-\d\d-\d\dT/.test(text);
        case 'uuid':
            return text.length === 36;
        default:
            return false;
    }
}

const fits = (text: string, { minLength = 0, maxLength = Infinity, pattern }: JsonSchema): boolean =>
    text.length >= minLength && text.length <= maxLength && (pattern === undefined || new RegExp(pattern, 'u').test(text));
