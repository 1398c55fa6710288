import type { TokenException } from './token-exception.ts';

/** By the name an entry gives in `token_exchange_script`. */
export const tokenExceptions: ReadonlyMap<string, TokenException> = new Map();
