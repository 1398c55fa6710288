/** Operations and messages as callers see them (§5.1). */
import { z } from 'zod';
import type { ListedOperation } from '../../../store/operation-listing.ts';
import type { OperationMessageRow } from '../../../store/schema.ts';

export const OperationState = z.enum(['waiting', 'running', 'success', 'failed', 'timeout', 'cancelled']);
export const LogLevel = z.enum(['debug', 'info', 'warn', 'error']);
const Time = z.iso.datetime();
const LogError = z.object({ type: z.string(), message: z.string() });

const Headers = z.record(z.string(), z.string());

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
    request: z
        .object({ method: z.string(), url: z.string(), headers: Headers })
        .nullable()
        .describe('Of a call. Values of most parameters, and parts of the path that are no words, are `REDACTED`; bodies are not recorded'),
    response: z.object({ code: z.int(), headers: Headers }).nullable(),
    retry: z.object({ attempt: z.int(), max: z.int(), waited: z.int().describe('ms') }).nullable(),
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

type MessageView = z.input<typeof Message>;

export const messageView = (row: OperationMessageRow): MessageView => ({
    id: String(row.id),
    parentId: row.operation_id,
    source: row.source,
    level: row.level,
    type: row.type,
    context: row.context,
    message: row.message,
    error: row.error as MessageView['error'],
    request: row.request as MessageView['request'],
    response: row.response as MessageView['response'],
    retry: row.retry as MessageView['retry'],
    meta: row.meta,
    createdAt: row.created_at.toISOString(),
    endedAt: row.ended_at?.toISOString() ?? null,
    durationMs: row.duration_ms,
});
