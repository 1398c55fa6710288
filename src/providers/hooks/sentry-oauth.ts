import { HookFailure, type PostConnectionHook } from './hook.ts';

/** Until then the vendor shows the installation as unfinished. Saying so again changes nothing. */
export const sentryOauth: PostConnectionHook = async (context) => {
    const installation = context.connectionConfig['installation.uuid'];
    if (typeof installation !== 'string' || installation === '') {
        throw new HookFailure('The connection has no installation.uuid');
    }
    const { status } = await context.call({
        method: 'PUT',
        endpoint: `/0/sentry-app-installations/${encodeURIComponent(installation)}/`,
        json: { status: 'installed' },
    });
    if (status < 200 || status > 299) {
        throw new HookFailure(`PUT /0/sentry-app-installations answered ${status}`);
    }
    return {};
};
