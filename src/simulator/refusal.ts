/** A request that a twin does not accept. `why` is for the person who reads the activity page; it names fields, never values. */
export class Refusal extends Error {
    override readonly name = 'Refusal';
    readonly status: number;
    readonly code: string;

    constructor(status: number, code: string, why: string) {
        super(why);
        this.status = status;
        this.code = code;
    }
}

/** Codes of RFC 6749 §5.2. */
export const invalidRequest = (why: string): Refusal => new Refusal(400, 'invalid_request', why);
export const invalidGrant = (why: string): Refusal => new Refusal(400, 'invalid_grant', why);
export const invalidClient = (why: string): Refusal => new Refusal(401, 'invalid_client', why);
export const unauthorized = (why: string): Refusal => new Refusal(401, 'unauthorized', why);
