import { createHash } from 'node:crypto';
import { askFor } from './answers.ts';
import type { HookCall, HookContext, PostConnectionHook } from './hook.ts';

export const googleMail: PostConnectionHook = (context) => mailbox(context, { endpoint: '/gmail/v1/users/me/profile' }, 'emailAddress');

/** On the host of the Calendar API, also where the entry's own base is the one of its MCP server. */
export const googleCalendar: PostConnectionHook = (context) =>
    mailbox(context, { baseUrl: 'https://www.googleapis.com', endpoint: '/calendar/v3/calendars/primary' }, 'id');

/** What notifications of this mailbox are found by, without its address in clear. */
async function mailbox(context: HookContext, call: HookCall, path: string): Promise<Record<string, unknown>> {
    const address = String(await askFor(context, call, path));
    return { emailAddressHash: createHash('sha256').update(address.trim().toLowerCase()).digest('hex') };
}
