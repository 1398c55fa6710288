/** What the description says before its operations. */
import type { Tag } from '../endpoint.ts';
import type { ApiDescription } from './description.ts';

export const title = 'Valetkey API';
export const summary = 'Connects your users’ accounts at other products, keeps their credentials valid, and hands out a fresh one whenever you ask.';

/** In the order of the page. */
export const tagDescriptions: Readonly<Record<Tag, string>> = {
    'Connect sessions': 'A short-lived grant that your backend asks for and your user’s browser uses to connect an account.',
    Connecting: 'What a browser calls to connect an account: redirect flows, and credentials that a person types in.',
    Connections: 'The accounts that your users connected, with credentials that are valid when you read them.',
    Integrations: 'A provider as you set it up in one environment, with your OAuth app.',
    Providers: 'The catalogue of products that can be connected, and how.',
    Environment: 'Settings of the environment that the API key belongs to.',
    Webhooks: 'Where your backend is told of new connections and failed renewals, and how it recognises the caller.',
    Logs: 'What was attempted on your connections, step by step, and how it ended.',
    'API keys': 'The keys with which your backend calls this API.',
    Environments: 'Separate worlds, such as `dev` and `prod`, with their own keys, integrations and connections.',
    Server: 'The server itself: probes, and this description.',
};

export const introduction = `Your backend asks for a *connect session*; your user connects an account with it; your backend reads the connection, with fresh
credentials, for as long as it lasts. Paths, fields and error codes are those of Nango’s public API, so that its official clients work unchanged.

## Authentication

Your backend sends an **API key**: \`Authorization: Bearer <key>\`. A key belongs to one environment, which is what its requests are about, and holds scopes;
an operation names those it needs. A scope that ends in \`:*\` covers all that begin with what stands before the \`*\`. Keys of the account belong to no
environment and open only what needs a scope of \`account:\`.

Your user’s browser sends a **connect session**’s token, either as bearer or, where it is said so, as the query parameter \`connect_session_token\`. It is good
for 30 minutes, for connecting only. Never give an API key to a browser.

## Requests

Bodies are JSON, and \`Content-Type\` is \`application/json\` or absent. Parameters and members that are not documented are refused, unless the operation says
otherwise. Brackets in a query nest: \`tags[plan]=pro\`. Paths may end in a slash. Every \`GET\` can be asked as \`HEAD\` too, except those that use something up.

## Errors

A failure is a JSON object with the single member \`error\`, and \`error.code\` is what to branch on: codes are stable, messages are for people and may change.
When the form of the input is wrong, \`error.errors\` lists everything that is, each with a path. Each operation lists its codes by status. A path that does not
exist answers 404 \`not_found\`. A failure without a cause of yours is 500 \`generic_error_support\`, and its \`payload\` is the number under which the
operator’s log has the details.

\`\`\`json
{
  "error": {
    "code": "not_found",
    "message": "There is no connection with this id."
  }
}
\`\`\`

\`\`\`json
{
  "error": {
    "code": "invalid_body",
    "errors": [
      {
        "code": "invalid_type",
        "message": "Invalid input: expected string, received undefined",
        "path": ["end_user", "id"]
      }
    ]
  }
}
\`\`\`

Refused callers, and some older operations, get a third form, with a \`payload\` that is mostly empty:

\`\`\`json
{
  "error": {
    "message": "The Authorization header is missing.",
    "code": "missing_auth_header",
    "payload": {}
  }
}
\`\`\`

## Rate limits

Each API key, and the connect sessions of each environment together, have a budget per minute; callers who present nothing, or the wrong thing, have one per
address. \`X-RateLimit-Limit\`, \`X-RateLimit-Remaining\` and
\`X-RateLimit-Reset\` (seconds since 1970) tell where you are; beyond it the answer is 429 with \`Retry-After\`.`;

/** Said once some operation takes the header. */
export const idempotency = `## Idempotency

Where a creating \`POST\` documents the header \`Idempotency-Key\`, repeating the request with the same key, within a day, gives the first success again, marked with
\`Idempotent-Replayed: true\`, in place of making a second thing. Use a new UUID for each thing you want made, and keep it over retries. A request that failed made
nothing, and can be repeated with its key.`;

export const securitySchemes: ApiDescription['components']['securitySchemes'] = {
    apiKey: {
        type: 'http',
        scheme: 'bearer',
        bearerFormat: 'vk_<environment>_… or a UUID v4',
        description: 'An API key of your backend. The scopes that an operation needs are in its `x-scopes`: any one of them is enough.',
    },
    connectSession: {
        type: 'http',
        scheme: 'bearer',
        bearerFormat: 'nango_connect_session_…',
        description: 'The token of a connect session, as `POST /connect/sessions` gives it.',
    },
    connectSessionInQuery: {
        type: 'apiKey',
        in: 'query',
        name: 'connect_session_token',
        description: 'The token of a connect session, in the query.',
    },
};

export const headers: ApiDescription['components']['headers'] = {
    'Idempotent-Replayed': {
        description: '`true` on an answer that was given before, to the first request with this `Idempotency-Key`.',
        schema: { type: 'string', enum: ['true'] },
    },
    'X-RateLimit-Limit': { description: 'Requests per minute.', schema: { type: 'integer', minimum: 1 } },
    'X-RateLimit-Remaining': { description: 'How many are left in this minute.', schema: { type: 'integer', minimum: 0 } },
    'X-RateLimit-Reset': { description: 'When the minute ends, in seconds since 1970.', schema: { type: 'integer' } },
};

export const parameters: ApiDescription['components']['parameters'] = {
    IdempotencyKey: {
        name: 'Idempotency-Key',
        in: 'header',
        required: false,
        description: 'A value of your choice, new for each thing you want made: repeated with it, a request gives the first answer again.',
        schema: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[!-~]+$', examples: ['5c1f7d2e-8a44-4d7b-9f0e-2b6f3a1c9d55'] },
    },
};
