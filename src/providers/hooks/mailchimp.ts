import { askFor } from './answers.ts';
import type { PostConnectionHook } from './hook.ts';

/** Tokens do not say in which data centre their account is; the login host does. */
export const mailchimp: PostConnectionHook = async (context) => ({
    dc: await askFor(context, { baseUrl: 'https://login.mailchimp.com', endpoint: '/oauth2/metadata' }, 'dc'),
});
