/** Why something is not done to an environment or a key although the request is well-formed. The API answers with the code. */
export type RefusalCode =
    | 'not_found'
    | 'conflict'
    | 'resource_capped'
    | 'forbidden'
    | 'last_full_access_key'
    | 'managed_by_configuration'
    | 'key_replaced'
    | 'key_expired'
    | 'invalid_is_prod_flag'
    | 'cannot_delete_prod_environment';

export class Refusal extends Error {
    override readonly name = 'Refusal';
    readonly code: RefusalCode;

    /** @param message for people; names fields, never values. */
    constructor(code: RefusalCode, message: string) {
        super(message);
        this.code = code;
    }
}
