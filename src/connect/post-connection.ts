/**
 * The hook of a provider that runs when a connection is made or made again (auth-modes §17.3). It is asked before the connection
 * is stored, so that its configuration is complete when anybody first reads of it. A hook that fails or takes too long does not
 * undo the connection: what is missing is looked for later (A5, `hook-retries.ts`).
 */
import type { Logger } from 'pino';
import type { ModeContext, ModeIntegration } from '../auth-modes/auth-mode.ts';
import { hookContext, hookFailureText } from '../auth-modes/hook-context.ts';
import { recorded } from '../auth-modes/recorded-context.ts';
import { openConfig } from '../credentials/connection-secrets.ts';
import type { Credentials } from '../credentials/credential.ts';
import { untilDatabaseAnswers } from '../credentials/until-database-answers.ts';
import { OperationRecord, type Retry } from '../egress/operation-record.ts';
import { foundConfigIssues } from '../providers/fields.ts';
import type { PostConnectionHook } from '../providers/hooks/hook.ts';
import { postConnectionHooks } from '../providers/hooks/index.ts';
import type { Provider } from '../providers/provider.ts';
import { newRowId, randomFraction, type Sources } from '../sources.ts';
import * as connections from '../store/connections.ts';
import { json, type Db } from '../store/database.ts';
import * as operations from '../store/operations.ts';
import * as hooks from '../store/post-connection-hooks.ts';
import type { ConnectionRow, IntegrationRow, PostConnectionStatus } from '../store/schema.ts';
import type { ConnectContext } from './connect-session.ts';

/** A person waits in front of a popup. */
const inlineMs = 6_000;

const [second, minute, hour] = [1000, 60_000, 3_600_000];
/** After the first, second, … failed attempt: eight attempts within a day. */
const waits = [30 * second, 2 * minute, 10 * minute, 30 * minute, 2 * hour, 6 * hour, 15 * hour];

/** @returns `null` when no attempt is left */
export function nextAttemptAt(failedAttempts: number, sources: Sources): Date | null {
    const wait = waits[failedAttempts - 1];
    return wait === undefined ? null : new Date(sources.now() + wait * (0.8 + 0.4 * randomFraction(sources)));
}

/** @param number from 1. Its wait is the planned one. */
export const attempt = (number: number): Retry => ({ attempt: number, max: waits.length + 1, waited: waits[number - 2] ?? 0 });

export const postConnectionHook = ({ entry }: Provider): PostConnectionHook | undefined =>
    postConnectionHooks.get(String(entry['post_connection_script']));

export type Discovery =
    /** Members to set; one that is `undefined` goes. */
    { outcome: 'found'; config: Readonly<Record<string, unknown>> } | { outcome: 'failed'; reason: string };

/** Never throws. */
export async function discover(
    hook: PostConnectionHook,
    context: ModeContext & { logger: Logger },
    credentials: Credentials,
    deadlineMs: number,
): Promise<Discovery> {
    try {
        const config = await hook(hookContext(context, credentials, { deadlineMs }));
        const [issue] = foundConfigIssues(context.provider, config);
        return issue === undefined
            ? { outcome: 'found', config }
            : { outcome: 'failed', reason: `What the provider answered cannot be used: ${issue.message}` };
    } catch (error) {
        const reason = hookFailureText(error);
        if (reason === undefined) {
            context.logger.error({ err: error, provider: context.provider.name }, 'a post-connection hook failed unexpectedly');
        }
        return { outcome: 'failed', reason: reason ?? 'Something unexpected went wrong in Valetkey; its log has the details.' };
    }
}

export interface ToComplete {
    integration: IntegrationRow;
    provider: Provider;
    opened: ModeIntegration;
    connectionId: string;
    credentials: Credentials;
    connectionConfig: Record<string, unknown>;
}

export interface Completion {
    /** What was given, and what the hook found, which wins (N3); a member that is `undefined` goes. */
    connectionConfig: Record<string, unknown>;
    /** Why something may be missing. */
    unfinished?: string;
    /** What was asked and answered; absent: nothing was. */
    asked?: OperationRecord;
}

/** Asks the provider's hook, where it has one, about a connection that is about to be stored. */
export async function completeConfig(context: ConnectContext, given: ToComplete): Promise<Completion> {
    const { provider, connectionConfig } = given;
    const hook = postConnectionHook(provider);
    if (hook === undefined) {
        return { connectionConfig };
    }
    const stored = await untilDatabaseAnswers(() => connections.findByKey(context.db, given.integration.id, given.connectionId), context);
    const whole = { ...(stored && (await openConfig(context.vault, stored))), ...connectionConfig };
    const modeContext = { ...context, provider, integration: given.opened, connectionConfig: whole };
    const asked = new OperationRecord(context.sources);
    asked.retry = attempt(1);
    const discovery = await discover(
        hook,
        recorded(asked, modeContext, () => given.credentials),
        given.credentials,
        inlineMs,
    );
    if (discovery.outcome === 'found') {
        context.record?.step(`Details of the account found: ${namesOf(discovery.config)}`);
        return { connectionConfig: { ...connectionConfig, ...discovery.config }, asked };
    }
    context.record?.step(failureMessage(discovery.reason), { level: 'warn' });
    return { connectionConfig, unfinished: discovery.reason, asked };
}

const namesOf = (config: Readonly<Record<string, unknown>>): string => Object.keys(config).join(', ') || 'none';

/** For the connection that is stored with it. */
export const statusAfter = ({ unfinished }: Completion): PostConnectionStatus | null => (unfinished === undefined ? null : 'metadata_pending');

/** In the transaction that stores the connection: what an earlier connect left to do is over, and what this one did begins. */
export async function recordCompletion(db: Db, context: ConnectContext, row: ConnectionRow, { unfinished, asked }: Completion): Promise<void> {
    const { sources, logger } = context;
    const at = new Date(sources.now());
    const earlier = await hooks.removeOf(db, row.id);
    if (earlier !== undefined) {
        await operations.cancel(db, earlier, 'Connected again', at);
    }
    const operation = {
        id: operations.newOperationId(sources),
        environment_id: row.environment_id,
        ...operations.postConnection,
        integration_id: row.integration_id,
        connection_row_id: row.id,
        connection_id: row.connection_id,
        error: null,
        meta: json({ attempts: 1 }),
        created_at: at,
        expires_at: null,
    };
    if (unfinished === undefined) {
        if (asked !== undefined) {
            const done = { state: 'success', level: 'info', message: 'Details of the account looked up', ended_at: at } as const;
            await operations.open(db, { ...operation, ...done }, asked.messages());
        }
        return;
    }
    logger.warn({ connection_row: row.id, provider: row.provider, attempt: 1, reason: unfinished }, 'post-connection hook failed');
    const begun = { state: 'running', level: 'warn', message: failureMessage(unfinished), ended_at: null } as const;
    await operations.open(db, { ...operation, ...begun }, asked?.messages());
    await hooks.insert(db, {
        id: newRowId(sources),
        environment_id: row.environment_id,
        connection_row_id: row.id,
        provider: row.provider,
        operation_id: operation.id,
        dueAt: nextAttemptAt(1, sources) ?? at,
        at,
    });
}

export const failureMessage = (reason: string): string => `Details of the account could not be looked up: ${reason}`;
