import { ask, at, isId, nameOf } from './answers.ts';
import { HookFailure, type HookCall, type PostConnectionHook } from './hook.ts';

export const snowflake: PostConnectionHook = async (context) => {
    const call: HookCall = {
        method: 'POST',
        endpoint: '/api/v2/statements',
        headers: { accept: 'application/json', 'x-snowflake-authorization-token-type': 'OAUTH' },
        json: { statement: 'SELECT CURRENT_USER()' },
    };
    const username = at(await ask(context, call), 'data.0.0');
    if (!isId(username)) {
        throw new HookFailure(`${nameOf(call)} answered without a row`);
    }
    return { username };
};
