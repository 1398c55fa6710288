/** Of an environment. Each event is written once for every one of them that wants it. */
export const mostEndpoints = 50;
