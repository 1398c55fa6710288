/** What a person sees when Valetkey has started: where it is, what it uses, and what to try next. */
import type { App } from './app.ts';
import type { Config } from './config.ts';
import { version } from './version.ts';

export function startupSummary(config: Config, app: Pick<App, 'database' | 'newApiKeys' | 'keySource'>): string {
    const key = app.newApiKeys.get('dev') ?? config.secretKeys.get('dev');
    const shown = app.newApiKeys.has('dev') ? key! : '$VALETKEY_SECRET_KEY';
    const rows = [
        ['API', config.publicUrl],
        ['OAuth callback', `${config.publicUrl}/oauth/callback`],
        ['Database', app.database.description],
        ['Encryption key', app.keySource],
        ...[...app.newApiKeys].map(([environment, value]) => [`API key (${environment})`, value]),
    ];
    const width = Math.max(...rows.map(([name]) => name!.length));
    return [
        '',
        `  Valetkey ${version} is ready.`,
        '',
        ...rows.map(([name, value]) => `  ${name!.padEnd(width)}  ${value}`),
        ...(app.newApiKeys.size > 0 ? ['', '  These API keys are shown once. Keep them where your backend keeps its secrets.'] : []),
        '',
        '  Try next:',
        `    curl ${config.publicUrl}/health`,
        `    curl -H "Authorization: Bearer ${shown}" "${config.publicUrl}/providers?search=github"`,
        `    curl -H "Authorization: Bearer ${shown}" -H "Content-Type: application/json" \\`,
        `         -d '{"provider":"github-pat","unique_key":"github-pat"}' ${config.publicUrl}/integrations`,
        '',
        '',
    ].join('\n');
}
