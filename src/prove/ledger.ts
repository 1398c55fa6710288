/** What the token server knows: every grant, every generation of its refresh token, who presented it and what became of the answer. */

export interface Generation {
    presented: number;
    redeemed: number;
    /** Of the redemption: `cut` when the caller had hung up, or the connection broke, before the answer was handed over. */
    answer: 'none' | 'sent' | 'cut';
    /** The process that redeemed it. */
    worker: number | null;
    presentedAt: number;
    answeredAt: number;
    /** When its caller hung up before it was answered; 0: it did not. */
    hungUpAt: number;
}

export interface Grant {
    id: string;
    isAlive: boolean;
    /** The last one is the newest; it has not been redeemed while the grant lives. */
    generations: Generation[];
}

export const newGeneration = (): Generation => ({
    presented: 0,
    redeemed: 0,
    answer: 'none',
    worker: null,
    presentedAt: 0,
    answeredAt: 0,
    hungUpAt: 0,
});

/** A refresh token presented after it was redeemed revokes its grant (RFC 9700 §4.14.2). @returns whether it was redeemed now */
export function redeem(grant: Grant, generation: number, worker: number | null, presentedAt: number): boolean {
    const presented = grant.generations[generation];
    if (presented === undefined || !grant.isAlive) {
        return false;
    }
    presented.redeemed += 1;
    if (presented.redeemed > 1) {
        grant.isAlive = false;
        return false;
    }
    Object.assign(presented, { worker, presentedAt });
    grant.generations.push(newGeneration());
    return true;
}

/** How many generations were presented and redeemed how often. */
export interface Redemptions {
    once: number;
    /** Presented more than once, redeemed once: the earlier calls were refused, or given up before they were served. */
    retried: number;
    /** Presented again after it had been redeemed. */
    replayed: number;
}

export function countRedemptions(grants: readonly Grant[]): Redemptions {
    const count: Redemptions = { once: 0, retried: 0, replayed: 0 };
    for (const { presented, redeemed } of grants.flatMap(({ generations }) => generations)) {
        if (redeemed > 1) {
            count.replayed += 1;
        } else if (redeemed === 1) {
            count[presented > 1 ? 'retried' : 'once'] += 1;
        }
    }
    return count;
}
