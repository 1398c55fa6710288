/** Operations and messages as callers see them (§5.1). */
import { z } from 'zod';
import type { ListedOperation } from '../../../store/operation-listing.ts';
import type { OperationMessageRow } from '../../../store/schema.ts';

export const OperationState = z.enum(['waiting', 'running', 'success', 'failed', 'timeout', 'cancelled']);
export const LogLevel = z.enum(['debug', 'info', 'warn', 'error']);
const Time = z.iso.datetime();
const Headers = z.record(z.string(), z.string()).describe('Those of an allow-list');
const LogError = z.object({ type: z.string(), message: z.string() });

export const Operation = z.object({
    id: z.string().describe('Begins with its time: `<epoch ms>_<8 characters>`'),
    level: LogLevel,
    message: z.string(),
    operation: z.object({ type: z.string(), action: z.string() }),
    state: OperationState,
    integrationName: z.string().nullable().describe('Unique key of the integration'),
    providerName: z.string().nullable(),
    connectionName: z.string().nullable().describe('The connection id'),
    error: LogError.nullable(),
    meta: z.looseObject({}).nullable(),
    createdAt: Time,
    updatedAt: Time,
    endedAt: Time.nullable(),
    expiresAt: Time.nullable(),
    durationMs: z.int().nullable(),
});

export const Message = z.object({
    id: z.string(),
    parentId: z.string().describe('The operation'),
    source: z.enum(['internal', 'user']),
    level: LogLevel,
    type: z.enum(['log', 'http']),
    context: z.enum(['script', 'proxy', 'webhook', 'auth']).nullable(),
    message: z.string(),
    error: LogError.nullable(),
    request: z.object({ method: z.string(), url: z.string(), headers: Headers }).nullable().describe('Without passwords and the values of its query'),
    response: z.object({ code: z.int(), headers: Headers }).nullable().describe('`null`: there was none'),
    retry: z.object({ attempt: z.int(), max: z.int(), waited: z.number().describe('Milliseconds since the attempt before') }).nullable(),
    meta: z.looseObject({}).nullable(),
    createdAt: Time,
    endedAt: Time.nullable(),
    durationMs: z.int().nullable(),
});

export const operationView = (row: ListedOperation): z.input<typeof Operation> => ({
    id: row.id,
    level: row.level,
    message: row.message,
    operation: { type: row.type, action: row.action },
    state: row.state,
    integrationName: row.integration_key,
    providerName: row.provider,
    connectionName: row.connection_id,
    error: row.error,
    meta: row.meta,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.changed_at.toISOString(),
    endedAt: row.ended_at?.toISOString() ?? null,
    expiresAt: row.expires_at?.toISOString() ?? null,
    durationMs: row.ended_at === null ? null : Math.max(0, row.ended_at.getTime() - row.created_at.getTime()),
});

export const messageView = (row: OperationMessageRow): z.input<typeof Message> => ({
    id: String(row.id),
    parentId: row.operation_id,
    source: row.source,
    level: row.level,
    type: row.type,
    context: row.context,
    message: row.message,
    error: row.error as z.input<typeof LogError> | null,
    request: row.request as z.input<typeof Message>['request'],
    response: row.response as z.input<typeof Message>['response'],
    retry: row.retry as z.input<typeof Message>['retry'],
    meta: row.meta,
    createdAt: row.created_at.toISOString(),
    endedAt: row.ended_at?.toISOString() ?? null,
    durationMs: row.duration_ms,
});
