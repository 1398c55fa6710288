/** A connection as the API shows it, for the description of the API. `connection-view.ts` makes it. */
import { z } from 'zod';

const Json = z.record(z.string(), z.unknown());
const Raw = Json.describe('What the provider answered; after an import, the credentials that were imported.');
const ExpiresAt = z.iso.datetime().optional().describe('Absent: the provider names no lifetime.');
const ConfigOverride = z
    .object({ client_id: z.string().optional(), client_secret: z.string().optional() })
    .describe("The OAuth app of this connection, where it is not the integration's.");

/** Credentials by type; those without a type belong to an integration that needs none, or to a caller who may not read them. */
export const CredentialsObject = z
    .union([
        z.object({
            type: z.literal('OAUTH2'),
            access_token: z.string(),
            refresh_token: z.string().optional().describe('Only if it was asked for.'),
            expires_at: ExpiresAt,
            raw: Raw,
            config_override: ConfigOverride.optional(),
        }),
        z.object({
            type: z.literal('OAUTH2_CC'),
            token: z.string(),
            client_id: z.string(),
            client_secret: z.string(),
            client_certificate: z.string().optional(),
            client_private_key: z.string().optional(),
            expires_at: ExpiresAt,
            raw: Raw,
        }),
        z.object({ type: z.literal('OAUTH1'), oauth_token: z.string(), oauth_token_secret: z.string(), raw: Raw }),
        z.object({ type: z.literal('BASIC'), username: z.string(), password: z.string() }),
        z.object({ type: z.literal('API_KEY'), apiKey: z.string() }),
        z.object({ type: z.literal('TBA'), token_id: z.string(), token_secret: z.string(), config_override: ConfigOverride }),
        z.object({
            type: z.literal('APP'),
            access_token: z.string(),
            expires_at: ExpiresAt,
            raw: Raw,
            jwtToken: z.string().optional().describe("The app's own JWT that bought the token; it lives ten minutes."),
        }),
        z.strictObject({ type: z.literal('OAUTH2') }).describe('Of a connection that waits for its installation on the vendor’s side.'),
        z
            .looseObject({
                type: z.literal('TWO_STEP'),
                token: z.string(),
                refresh_token: z.string().optional().describe('Only if it was asked for.'),
                expires_at: ExpiresAt,
                raw: z.unknown().describe('The last answer of the login.'),
                assertionOption: Json.optional().describe('What was submitted under this name; only if refresh tokens were asked for.'),
            })
            .describe('Beside the fields that were submitted, and the headers and cookies that the entry keeps.'),
        z
            .looseObject({ type: z.literal('JWT'), token: z.string(), expires_at: z.iso.datetime() })
            .describe('Beside the token, what was submitted: `privateKey`, `issuerId` and the like.'),
        z.object({
            type: z.literal('SIGNATURE'),
            username: z.string(),
            password: z.string(),
            token: z.string(),
            expires_at: z.iso.datetime(),
        }),
        z.object({
            type: z.literal('BILL'),
            username: z.string(),
            password: z.string(),
            organization_id: z.string().describe('As the login answered it.'),
            dev_key: z.string(),
            session_id: z.string(),
            user_id: z.string(),
            expires_at: z.iso.datetime(),
            raw: Raw,
        }),
        z.object({
            type: z.literal('AWS_SIGV4'),
            role_arn: z.string(),
            region: z.string(),
            service: z.string(),
            access_key_id: z.string(),
            secret_access_key: z.string(),
            session_token: z.string(),
            expires_at: z.iso.datetime(),
            external_id: z.string(),
            raw: Raw,
        }),
        z.strictObject({}),
    ])
    .meta({ id: 'ConnectionCredentials' });

export const EndUserObject = z
    .object({
        id: z.string(),
        display_name: z.string().nullable(),
        email: z.string().nullable(),
        tags: z.record(z.string(), z.string()).nullable(),
        organization: z.object({ id: z.string(), display_name: z.string().nullable() }).nullable(),
    })
    .meta({ id: 'ConnectionEndUser' });

export const ConnectionErrors = z
    .array(z.object({ type: z.literal('auth'), log_id: z.string() }))
    .describe('Active problems; empty when all is well.');

export const PostConnectionStatus = z
    .enum(['metadata_pending', 'failed'])
    .nullable()
    .describe(
        'What is missing of what the provider is asked for once somebody has connected (account ids and the like, in `connection_config`). ' +
            '`metadata_pending`: it will be asked again; `failed`: it was asked in vain for about a day, connecting again asks anew; `null`: nothing. ' +
            'The credentials work in any case.',
    );

/** Milliseconds; with `+00:00` where a connection is read, with `Z` where it is imported (http-api §1.12). */
const When = z.iso.datetime({ offset: true });

export const ConnectionObject = z
    .object({
        id: z.int(),
        connection_id: z.string(),
        provider: z.string(),
        provider_config_key: z.string(),
        errors: ConnectionErrors,
        post_connection_status: PostConnectionStatus,
        end_user: EndUserObject.nullable(),
        tags: z.record(z.string(), z.string()),
        metadata: Json.nullable(),
        connection_config: Json.describe('Its secret members are there for callers who may read credentials.'),
        webhook_url_override: z.string().nullable(),
        created_at: When,
        updated_at: When,
        last_fetched_at: When.nullable(),
        credentials_expires_at: When.nullable().describe('When what can be handed out ends, before it is renewed; null: not known, or never.'),
        credentials_expires_at_source: z
            .enum(['expires_at', 'expires_in', 'token', 'introspection', 'entry', 'assumed', 'import'])
            .nullable()
            .describe(
                'What says so: the answer that brought them, by a moment or a lifetime; the token itself (`exp`); the provider, asked again; ' +
                    'the entry of the provider; nobody, so that the usual is assumed; the import. Null: nothing does, or it was not noted yet.',
            ),
        refresh_token_expires_at: When.nullable().describe(
            'When the refresh token itself ends, where the provider says so; a renewal may move it. Null: not known, or never.',
        ),
        credentials: CredentialsObject,
    })
    .meta({ id: 'Connection' });
