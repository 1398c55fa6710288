/** What happens on the page, for the log of its own server and nobody else's (frontend contract §3.8). */

export type Happening =
    | 'open'
    | 'view:list'
    | 'view:integration'
    | 'view:unknown_error'
    | 'view:credentials_error'
    | 'view:success'
    | 'click:integration'
    | 'click:doc'
    | 'click:doc_section'
    | 'click:connect'
    | 'click:close'
    | 'click:finish'
    | 'click:outside'
    | 'popup:blocked_by_browser'
    | 'popup:closed_early';

/** A beacon outlives the page. One that does not get through is not missed. */
export function sendBeacon(address: string, token: string, event: Happening, integration?: string): void {
    const body = { token, event, timestamp: new Date().toISOString(), ...(integration === undefined ? {} : { dimensions: { integration } }) };
    navigator.sendBeacon(address, new Blob([JSON.stringify(body)], { type: 'application/json' }));
}
