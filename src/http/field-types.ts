/** Field types that several endpoints share (http-api §1.7, §5). */
import { z } from 'zod';
import { reservedName } from '../environments/environment.ts';

export const IntegrationKey = z
    .string()
    .regex(/^[a-zA-Z0-9~:.@ _-]+$/)
    .max(255)
    .meta({ id: 'IntegrationKey', description: 'The key of an integration, as you chose it.', examples: ['github-prod'] });
const connectionIdPattern = /^[a-zA-Z0-9,.;:=+~[\]|@${}"'\\/_ -]+$/;
export const ConnectionId = z
    .string()
    .regex(connectionIdPattern)
    .max(255)
    .meta({ id: 'ConnectionId', description: 'The id of a connection.', examples: ['5c1f7d2e-8a44-4d7b-9f0e-2b6f3a1c9d55'] });
/** In a union, an id that breaks a rule fits no branch (http-api §1.6). */
const ConnectionIdInUnion = z.string().regex(connectionIdPattern, { abort: true }).max(255, { abort: true });
/** One connection of an integration, or several. */
export const ConnectionIds = z.union([ConnectionIdInUnion, z.array(ConnectionIdInUnion)]);
export const ProviderName = z
    .string()
    .regex(/^[a-zA-Z0-9_-]+$/)
    .max(255)
    .meta({ id: 'ProviderName', description: 'The name of a provider in the catalogue.', examples: ['github'] });
export const DisplayName = z.string().min(1).max(255);
/** Of an environment; the one name that is taken by the account itself. */
export const EnvName = z
    .string()
    .regex(/^[a-z0-9_-]+$/)
    .max(255)
    .refine((name) => name !== reservedName, { message: `"${reservedName}" is reserved` })
    .meta({ examples: ['staging'] });

const decimal = /^[-+]?\d+(\.\d+)?$/;

/** A number that the API shows as an id; text is as good. */
export const PublicId = z.preprocess(
    (value) => (typeof value === 'string' ? (decimal.test(value) ? Number(value) : Number.NaN) : value),
    z.int().positive(),
);
/** In a body, where clients send it as text too. */
export const PublicIdInBody = PublicId.meta({ type: ['integer', 'string'] });

const yes = new Set(['true', '1', 'yes', 'on', 'y', 'enabled']);
const no = new Set(['false', '0', 'no', 'off', 'n', 'disabled']);

/** A boolean in a query string. */
export const QueryBool = z
    .string()
    .transform((text, context) => {
        const folded = text.toLowerCase();
        if (!yes.has(folded) && !no.has(folded)) {
            context.addIssue({ code: 'invalid_value', values: [...yes, ...no], input: text, message: 'Expected true or false' });
            return z.NEVER;
        }
        return yes.has(folded);
    })
    // of all the words for it, those that clients have
    .meta({ type: 'boolean' });

/** Unguessable, because whoever knows it may ask what became of the flow (frontend contract §7.3). */
export const FlowId = z
    .uuid()
    .describe('What the page calls this flow: a UUID of its own, by which `GET /connect/flows/{flowId}` tells how it ended.');

/** `params[…]`: an object whose string leaves count; anything else in it is ignored. */
export const LooseObject = z.record(z.string(), z.unknown());

const tagKey = z
    .string()
    .regex(/^[a-zA-Z][a-zA-Z0-9_\-./]*$/)
    .min(1)
    .max(64);
const mostTags = 10;

const tagRules = (tags: Record<string, string>, context: z.RefinementCtx): void => {
    const names = Object.keys(tags);
    if (names.length > mostTags) {
        context.addIssue({ code: 'custom', message: `At most ${mostTags} tags are allowed` });
    }
    if (new Set(names.map((name) => name.toLowerCase())).size < names.length) {
        context.addIssue({ code: 'custom', message: 'Tag names must differ in more than letter case' });
    }
    const email = names.find((name) => name.toLowerCase() === 'end_user_email');
    if (email !== undefined && !Email.safeParse(tags[email]).success) {
        context.addIssue({ code: 'custom', message: 'The tag end_user_email must be an email address' });
    }
};

const Email = z.email().min(5);

const lowerCaseKeys = (tags: Record<string, string>): Record<string, string> =>
    Object.fromEntries(Object.entries(tags).map(([name, value]) => [name.toLowerCase(), value]));

/** Postgres and this process descend into JSON by recursion; nobody nests as deep as this on purpose. */
const deepestMetadata = 100;

/** Any JSON object. */
export const Metadata = z.record(z.string(), z.unknown()).superRefine((metadata, context) => {
    if (isDeeperThan(deepestMetadata, metadata)) {
        context.addIssue({ code: 'custom', message: `Must not be nested more than ${deepestMetadata} levels deep` });
    }
});

/** Level by level, so that the answer does not depend on the stack. */
function isDeeperThan(levels: number, value: unknown): boolean {
    let level: unknown[] = [value];
    for (let depth = 0; depth < levels && level.length > 0; depth += 1) {
        level = level.flatMap((member) => (typeof member === 'object' && member !== null ? Object.values(member) : []));
    }
    return level.some((member) => typeof member === 'object' && member !== null);
}

/** Tags of connections and sessions; keys are lower-cased. */
export const Tags = z
    .record(tagKey, z.string().min(1).max(255))
    .superRefine(tagRules)
    .transform(lowerCaseKeys)
    .meta({
        id: 'Tags',
        description: `Names and values of your own, at most ${mostTags}. Names are kept in lower case; \`end_user_email\` has to be an email address.`,
        examples: [{ plan: 'pro' }],
    });

/** Tags of an end user: values may be empty, keys keep their case. */
const EndUserTags = z.record(tagKey, z.string().max(255)).superRefine(tagRules);

export const EndUser = z
    .strictObject({
        id: z.string().min(1).max(255).describe('What your product calls the user.'),
        email: Email.optional(),
        display_name: z.string().max(255).optional(),
        tags: EndUserTags.optional(),
    })
    .meta({ id: 'EndUser', description: 'The user of your product whose account it is.' });

export const Organization = z
    .strictObject({
        id: z.string().max(255).describe('What your product calls the organization.'),
        display_name: z
            .string()
            .max(255)
            .optional()
            .meta({ examples: ['Acme'] }),
    })
    .meta({ id: 'Organization', description: 'The organization that the user acts for.' });

/**
 * An absolute URL. The outbound policy is applied without DNS, so that a mistake shows when it is written.
 * @param judge throws when the policy forbids the URL
 */
export const judgedUrl = (judge: (url: string) => void) =>
    z.url({ abort: true }).superRefine((url, context) => {
        try {
            judge(url);
        } catch (error) {
            context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : 'This URL is not allowed' });
        }
    });

/** As `judgedUrl`, or `""`. */
export const webhookUrl = (judge: (url: string) => void) => z.union([z.literal(''), judgedUrl(judge)]);
