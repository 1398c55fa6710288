/** How callers choose among operations, listed or streamed. */
import { z } from 'zod';
import { OperationState } from './log-view.ts';

/** Values separated by commas. */
export const listOf = <Item extends z.ZodType<unknown, string>>(item: Item) =>
    z
        .string()
        .min(1)
        .max(2000)
        .transform((text) => [...new Set(text.split(',').map((part) => part.trim()))])
        .pipe(z.array(item).max(50));

export const filterFields = {
    states: listOf(OperationState).optional().describe('Separated by commas: any of them'),
    types: listOf(z.string().max(100)).optional().describe('`auth` or `auth:refresh_token`, separated by commas: any of them'),
    integrations: listOf(z.string().max(255)).optional().describe('Unique keys, separated by commas: any of them'),
    connections: listOf(z.string().max(255)).optional().describe('Connection ids, separated by commas: any of them'),
};
