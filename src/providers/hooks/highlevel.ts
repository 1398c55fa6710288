import { at, isId } from './answers.ts';
import type { PostConnectionHook } from './hook.ts';

/** The token answer names both; a token of an agency has no location. */
export const highlevel: PostConnectionHook = ({ credentials }) => {
    const named = (name: string): Record<string, unknown> => {
        const value = credentials.type === 'OAUTH2' ? at(credentials.raw, name) : undefined;
        return { [name]: isId(value) ? value : undefined };
    };
    return Promise.resolve({ ...named('companyId'), ...named('locationId') });
};
