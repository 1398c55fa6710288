/** GET /env.js: where the dashboard's script finds its server (http-api §3). Public, so nothing secret is ever in it. */
import { version } from '../../../version.ts';
import { publicEndpoint } from '../../authentication.ts';
import { anyQuery, endpoint } from '../../endpoint.ts';
import type { Services } from '../../services.ts';

export const dashboardSettings = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/env.js'],
        tag: 'Server',
        operationId: 'getDashboardSettings',
        summary: 'Get the settings of the dashboard, as a script',
        description: 'A script that sets `window._env`. Nothing in it is secret.',
        authenticate: publicEndpoint,
        access: 'anyone',
        anyContentType: true,
        query: anyQuery,
        answers: { 200: 'text/javascript' },
        handle({ reply }) {
            const { publicUrl, connectUiUrl } = services.config;
            return reply
                .headers({ 'content-type': 'text/javascript; charset=utf-8', 'cache-control': 'public, max-age=3600' })
                .send(`window._env = ${JSON.stringify({ publicUrl, connectUiUrl, version })};\n`);
        },
    });
